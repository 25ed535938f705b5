"""The tool that merges two clusters."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def merge(work: Work, first: str, second: str) -> str:
    """Join two groups that mean the same or are confused with each other.

    Args:
        work: The run.
        first: The name of a group.
        second: The name of the other group.
    """
    return attempts.merge(work, first, second)
