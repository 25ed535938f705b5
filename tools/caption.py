"""The tool that captions images."""

from __future__ import annotations

from agentclust import ictc
from agentclust.work import Work


def caption(work: Work) -> str:
    """Write a caption for every image that has none yet, with the criterion in mind."""
    ictc.caption(work)
    captions = work.run.step_rows("captions").known
    return f"{len(captions)} of {len(work.samples)} samples have a caption"
