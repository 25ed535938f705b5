"""The tool that finds groups before they have names."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def group(work: Work) -> str:
    """Find groups by likeness of the captions under the criterion, then name them."""
    return attempts.group(work)
