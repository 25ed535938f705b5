"""What a run may spend: calls, tokens and seconds. It knows nothing of what they are spent on."""

from __future__ import annotations

import threading
import time

from agentclust.errors import BudgetSpent
from agentclust.types import Usage


class Budget:
    """Counts what is spent and stops before the call that would be one too many.

    Args:
        max_calls: Model calls.
        max_tokens: Tokens read and written, those in a model's cache left out. The calls in
            flight when it is reached still count, so it may be passed by as much as they cost.
        max_seconds: Seconds since the budget was made.
    """

    def __init__(
        self,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self._limits = {
            "max_calls": max_calls,
            "max_tokens": max_tokens,
            "max_seconds": max_seconds,
        }
        self._calls = self._tokens = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def spend(self, calls: int = 1) -> None:
        """Take `calls` from the budget.

        Raises:
            BudgetSpent: The budget does not hold them.
        """
        with self._lock:
            after = {
                "max_calls": self._calls + calls,
                "max_tokens": self._tokens + 1,
                "max_seconds": time.monotonic() - self._began,
            }
            for name, limit in self._limits.items():
                if limit is not None and after[name] > limit:
                    what = name.removeprefix("max_")
                    raise BudgetSpent(
                        f"{name}={limit}",
                        f"the budget of model {what} is spent",
                        f"resume the run with a larger --{name.replace('_', '-')}",
                    )
            self._calls += calls

    def add(self, usage: Usage) -> None:
        """Enter what an answer cost."""
        with self._lock:
            read = usage.prompt_tokens - usage.cached_prompt_tokens
            self._tokens += read + usage.completion_tokens
