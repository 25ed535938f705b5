"""The tool that turns captions into raw labels."""

from __future__ import annotations

from agentclust import ictc, wording
from agentclust.ictc import paper
from agentclust.work import Work


def label(work: Work) -> str:
    """Read off every caption, in a few words, what it says about the criterion."""
    (paper if work.run.config.mode == "paper" else ictc).label(work)
    rows = work.run.step_rows("labels").known
    counts = wording.count(row["label"] for row in rows.values())
    frequent = ", ".join(f"{text} ({n})" for text, n in list(counts.items())[:6])
    more = ", …" if len(counts) > 6 else ""
    return f"{len(counts)} different raw labels of {len(rows)} samples: {frequent}{more}"
