"""The tool that splits a cluster."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def split(work: Work, group: str) -> str:
    """Replace a group that holds too much by two narrower ones.

    Args:
        work: The run.
        group: The name of the group to split.
    """
    return attempts.split(work, group)
