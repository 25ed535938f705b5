"""The tool that ends the loop."""

from __future__ import annotations

from contextlib import suppress

from agentclust import attempts
from agentclust.errors import BudgetSpent, ModelError
from agentclust.work import Work


def finish(work: Work, why: str) -> str:
    """Keep the best attempt as the result and stop.

    Args:
        work: The run.
        why: Why it is good enough, or why nothing more can be done.
    """
    best = work.run.state["result"] or work.run.state["attempt"]
    work.run.turn_to(best)
    with suppress(ModelError, BudgetSpent):  # the result stands without the note
        attempts.notice_k(work)
    return f"the result is attempt {best}"
