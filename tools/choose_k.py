"""The tool that chooses how many clusters there are."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def choose_k(work: Work) -> str:
    """Find how many groups there are: begin with many and merge those that are close."""
    return attempts.choose_k(work)
