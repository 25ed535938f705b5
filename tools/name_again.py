"""The tool that names the clusters anew."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def name_again(work: Work, advice: str) -> str:
    """Propose several new sets of names, and keep the best by a sampled check.

    Args:
        work: The run.
        advice: What was wrong with the names before, in one short sentence.
    """
    return attempts.name_again(work, " ".join(advice.split())[:200])
