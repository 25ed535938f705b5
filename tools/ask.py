"""The tool that asks the person; it is there in a session alone."""

from __future__ import annotations

from agentclust.errors import RunError
from agentclust.work import Work


def ask(work: Work, question: str) -> str:
    """Ask the person one short question about what they want.

    Args:
        work: The run.
        question: The question.
    """
    if work.person is None:
        raise RunError("ask", "nobody is there to answer", "decide without")
    return f"<answer>{work.person(question).replace('</', '< /')}</answer>"
