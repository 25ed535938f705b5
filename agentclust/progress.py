"""How far a step is: a bar with rate and time left on a terminal, a plain line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Advance = Callable[[], None]
PLAIN_EVERY = 30.0


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "")


class Reporter:
    """Writes progress and messages to standard error.

    Args:
        quiet: Write nothing.
        every: Least seconds between two lines of a step without a terminal.
    """

    def __init__(self, quiet: bool = False, every: float = PLAIN_EVERY) -> None:
        self.console = Console(
            stderr=True, quiet=quiet, soft_wrap=True, highlight=False, emoji=False
        )
        self._every = every

    def say(self, text: str) -> None:
        """One line for a person."""
        self.console.print(text, markup=False)

    @contextmanager
    def step(self, name: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Show a step of `total` items, `done` of them from before; call the result for each."""
        if total <= done:
            yield lambda: None
        elif self.console.is_terminal:
            yield from self._bar(name, total, done)
        else:
            yield from self._lines(name, total, done)

    @contextmanager
    def counted(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Show a step that tells only while it goes how far it is: call with (done, total)."""
        with ExitStack() as stack:
            advance: Advance | None = None

            def progress(_: int, total: int) -> None:
                nonlocal advance
                if advance is None:
                    advance = stack.enter_context(self.step(name, total))
                advance()

            yield progress

    def _bar(self, name: str, total: int, done: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description:8}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(name, total=total, completed=done)
            yield lambda: bars.advance(task)

    def _lines(self, name: str, total: int, done: int) -> Iterator[Advance]:
        started = said = time.monotonic()
        count = done

        def advance() -> None:
            nonlocal count, said
            count += 1
            now = time.monotonic()
            if now - said >= self._every:
                said = now
                rate = (count - done) / max(now - started, 1e-9)
                left = (total - count) / rate
                self.say(f"{name}: {count} of {total}, {rate:.1f}/s, {left:.0f} s left")

        yield advance
