"""Errors that say what is wrong, why, and what to do next, in one line."""

from __future__ import annotations

from typing import Any


class AgentclustError(Exception):
    """A failure a person can act on.

    Args:
        what: The value at fault, as the person gave it.
        why: The reason, in plain words.
        todo: The next step.
    """

    exit_status = 1

    def __init__(self, what: object, why: str, todo: str) -> None:
        super().__init__(" ".join(f"{what}: {why}; {todo}".split()))
        self.why = why

    def __reduce__(self) -> tuple[Any, ...]:
        """As data for another process, which makes the same error of it."""
        return _made, (type(self), self.args, self.why)


def _made(kind: type[AgentclustError], args: tuple[Any, ...], why: str) -> AgentclustError:
    error = kind.__new__(kind)
    error.args, error.why = args, why
    return error


class InputError(AgentclustError):
    """The call or its input is wrong: nothing was started."""

    exit_status = 2


class MissingExtra(InputError):
    """An optional dependency is not installed."""

    def __init__(self, what: object, extra: str) -> None:
        super().__init__(
            what,
            f"needs the extra {extra!r}, which is not installed",
            f"run: pip install 'agentclust[{extra}]'",
        )


class ImageProblem(InputError):
    """One image cannot be used; the run goes on without it."""


class ModelError(AgentclustError):
    """A model failed for good: the run stops and can be resumed."""


class RequestRefused(AgentclustError):
    """A model cannot answer this one request; the others go on."""


class RunError(AgentclustError):
    """A run could not go on: its folder, its budget or its input stopped it."""


class DiskError(RunError):
    """A file of a run or of the answers cannot be read or written: no step can go on."""


class BudgetSpent(RunError):
    """What a run may spend is spent."""
