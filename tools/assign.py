"""The tool that assigns samples to clusters."""

from __future__ import annotations

from agentclust import ictc
from agentclust.ictc import paper
from agentclust.work import Work


def assign(work: Work) -> str:
    """Put every sample into the cluster it belongs to, or into none with the reason."""
    (paper if work.run.config.mode == "paper" else ictc).assign(work)
    rows = work.run.step_rows("assignments").known.values()
    unassigned = sum(row["cluster"] < 0 for row in rows)
    return f"{len(rows) - unassigned} samples assigned, {unassigned} unassigned"
