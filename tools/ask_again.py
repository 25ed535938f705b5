"""The tool that asks once more for samples in doubt."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def ask_again(work: Work) -> str:
    """Ask once more for the samples that are unassigned or unsure, with all that is known."""
    return attempts.ask_again(work)
