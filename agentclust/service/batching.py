"""Running a batch file: what is left of it, side by side where that may be.

What is finished is not run again, what was interrupted goes on, and what fails is written down.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from filelock import FileLock, Timeout

from agentclust.engines import Place, held
from agentclust.errors import RunError
from agentclust.files.journal import cannot_write, read_json, write_json
from agentclust.models import in_process
from agentclust.progress import Reporter
from agentclust.report.batch import write_tables
from agentclust.report.means import Section
from agentclust.service.apart import Row, begin, failed, outcome, record_of, server
from agentclust.service.forecasting import Planned, Shelf, forecast, told
from agentclust.service.grid import Cell, Grid, cells, published

MOST = 4  # runs side by side, unless told otherwise: each holds models and data of its own


def plan(
    grid: Grid, out: Path, only: Sequence[str] = ("*",), retry_failed: bool = False
) -> list[Planned]:
    """The runs of a grid that are left to do, and about what each will cost.

    Args:
        grid: The grid.
        out: The batch's folder, which need not be there.
        only: Patterns of the runs that are wanted.
        retry_failed: Whether what failed before is to be done.

    Raises:
        InputError: A setting is wrong.
    """
    every = cells(grid)
    left, _ = _left(every, cells(grid, only), out, retry_failed)
    return forecast(left, Shelf(), _rows(every, out))


def summed(planned: Sequence[Planned]) -> str:
    """What runs will cost in all, in one line."""
    return told(planned)


def run_batch(
    grid: Grid,
    out: Path,
    only: Sequence[str] = ("*",),
    retry_failed: bool = False,
    jobs: int | None = None,
    reporter: Reporter | None = None,
    place: Place | None = None,
) -> list[Row]:
    """Run what is left of a grid, and write its tables.

    Args:
        grid: The grid.
        out: Folder of the runs and of the tables.
        only: Patterns of the runs that are wanted.
        retry_failed: Run once more what failed before.
        jobs: Runs side by side, where their models are not in process.
        reporter: Where progress goes.
        place: Where the models work; by default each in the process of its run.

    Returns:
        A row for each run of the whole grid that was ever tried, in the grid's order.

    Raises:
        InputError: A setting is wrong, or the folder cannot be written.
        RunError: Another process works on this batch.
    """
    reporter = reporter or Reporter()
    every, shelf = cells(grid), Shelf()
    known = {(cell.data.name, cell.criterion): published(grid, cell) for cell in every}
    with _locked(out):
        left, done = _left(every, cells(grid, only), out, retry_failed)
        planned = forecast(left, shelf, _rows(every, out))
        if left:
            reporter.say(told(planned, done))
        for run in planned:
            if run.problem:
                write_json(record_of(out / run.cell.name), failed(run.problem))
                reporter.say(f"{run.cell.name}: {run.problem}")
        runnable = [run.cell for run in planned if not run.problem]
        with held(place or Place()) as there, reporter.step("runs", len(runnable)) as advance:
            jobs = jobs or _usual_jobs(there)
            for cell, row in _side_by_side(runnable, out, shelf, jobs, there):
                score = f"ACC {row['acc']:.3f}, {row['seconds']:.0f} s" if "acc" in row else ""
                reporter.say(f"{cell.name}: {row['error'] or score}")
                _write(grid.title, every, known, out)
                advance()
        return _write(grid.title, every, known, out)


@dataclass
class _Schedule:
    """Which runs may be at work at once.

    Runs that would ask or embed the same go one after another until one of them has ended: the
    others then find it in the answer store. A model in process has the machine for itself.
    """

    jobs: int
    known: set[object] = field(default_factory=set)
    running: list[tuple[Cell, BaseProcess]] = field(default_factory=list)

    def may_begin(self, cell: Cell) -> bool:
        at_work = [other for other, _ in self.running]
        if len(at_work) >= self.jobs or any(map(_alone, at_work)):
            return False
        if _alone(cell) and at_work:
            return False
        making = {key for other in at_work for key in _shared(other)} - self.known
        return not making & _shared(cell)

    def ended(self) -> list[tuple[Cell, BaseProcess]]:
        """Wait until a run has ended, and take those that have out."""
        ready = wait([process.sentinel for _, process in self.running])
        gone = [one for one in self.running if one[1].sentinel in ready]
        self.running = [one for one in self.running if one not in gone]
        for cell, _ in gone:
            self.known |= _shared(cell)
        return gone


def _side_by_side(
    left: Sequence[Cell], out: Path, shelf: Shelf, jobs: int, place: Place
) -> Iterator[tuple[Cell, Row]]:
    """Run the cells, and give each with its row as it ends."""
    waiting = sorted(left, key=_alone)  # those that can share the machine first
    schedule, context = _Schedule(jobs), server()
    try:
        while waiting or schedule.running:
            for cell in list(waiting):
                if schedule.may_begin(cell):
                    waiting.remove(cell)
                    record_of(out / cell.name).unlink(missing_ok=True)
                    process = begin(context, cell, out / cell.name, shelf.take(cell), place)
                    schedule.running.append((cell, process))
            for cell, process in schedule.ended():
                yield cell, outcome(process, out / cell.name)
    finally:
        for _, process in schedule.running:
            process.kill()


def _alone(cell: Cell) -> bool:
    """Whether a run needs the machine for itself: a model of its own, or an embedder's."""
    config = cell.config
    embeds = ":" in (config.embedder or "")
    return embeds or in_process(config.llm.model) or in_process(config.vlm.model)


def _shared(cell: Cell) -> set[object]:
    """What a run may leave in the answer store for others."""
    config = cell.config
    if not config.cache:
        return set()
    return {
        (config.dataset, config.embedder),
        (config.dataset, config.criterion, config.vlm),
        (config.dataset, config.criterion, config.llm),
    }


def _usual_jobs(place: Place) -> int:
    if place != Place():
        return 1  # each run has all the machines
    return min(MOST, os.cpu_count() or 1)


def _left(
    every: Sequence[Cell], wanted: Sequence[Cell], out: Path, retry_failed: bool
) -> tuple[list[Cell], int]:
    """The wanted cells that are to be done, and how many of all are finished."""
    status = {cell.name: (read_json(record_of(out / cell.name)) or {}).get("status")
              for cell in every}  # fmt: skip
    again = (None, "failed") if retry_failed else (None,)
    left = [cell for cell in wanted if status[cell.name] in again]
    return left, sum(found == "done" for found in status.values())


def _rows(every: Sequence[Cell], out: Path) -> list[Row]:
    """The rows of what was tried, in the grid's order."""
    found = ((cell, read_json(record_of(out / cell.name))) for cell in every)
    return [
        cell.about() | row | {"folder": cell.name} for cell, row in found if row is not None
    ]  # fmt: skip


def _write(
    title: str, every: Sequence[Cell], known: Mapping[Section, Sequence[Row]], out: Path
) -> list[Row]:
    rows = _rows(every, out)
    write_tables(out, title, rows, known)
    return rows


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = FileLock(out / ".lock")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        why = "another process is working on this batch"
        raise RunError(out, why, "wait for it, or stop it") from None
    except OSError as error:
        raise cannot_write(out, error) from None
    try:
        yield
    finally:
        lock.release()
