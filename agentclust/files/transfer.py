"""Bytes on their way, shown on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from agentclust.progress import Reporter

# what is going on, the bytes that are there, the bytes in all; no bytes in all: a line to be read
Report = Callable[[str, int, int], object]

PLAIN_EVERY = 10.0  # seconds between two lines without a terminal


@contextmanager
def shown(reporter: Reporter) -> Iterator[Report]:
    """A report that shows what it is told until the block ends."""
    if reporter.console.is_terminal:
        yield from _bars(reporter)
    else:
        yield lines(reporter.say)


def lines(say: Callable[[str], object], every: float = PLAIN_EVERY) -> Report:
    """A report in plain lines, at most one in `every` seconds of bytes on their way."""
    last = float("-inf")

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if not total:
            say(what)
        elif now - last >= every:
            last = now
            say(f"{what}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    return report


def _bars(reporter: Reporter) -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    rates = (TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, *rates, console=reporter.console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if not total:
                reporter.say(what)
            elif what in tasks:
                bars.update(tasks[what], completed=done)
            else:
                # bytes from an earlier call do not count for the rate
                tasks[what] = bars.add_task(what, total=total, completed=done)

        yield report
