"""Running a batch file: each run in a process of its own, so that its time and memory are its own.

What is finished is not run again, what was interrupted goes on, and what fails is written down.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentclust import datasets
from agentclust.errors import AgentclustError
from agentclust.estimate import Estimate, estimate
from agentclust.grid import Cell, Grid, cells, published
from agentclust.journal import read_json, write_json
from agentclust.progress import Reporter
from agentclust.record import read_state, read_usage
from agentclust.report.table import write_tables
from agentclust.service.evaluating import evaluate
from agentclust.service.running import METHODS, resume, start
from agentclust.types import Dataset, Usage

Row = dict[str, Any]
COUNTED = ("calls", "prompt_tokens", "cached_prompt_tokens", "completion_tokens")


def plan(grid: Grid, only: str = "*") -> list[tuple[Cell, Estimate | None]]:
    """The runs of a grid and about what each will cost; None where no model is asked.

    Raises:
        InputError: A setting, a dataset or a file of labels is wrong.
    """
    loaded: dict[str, Dataset] = {}
    planned = []
    for cell in cells(grid, only):
        if cell.data.name not in loaded:
            loaded[cell.data.name] = _dataset(cell)
        asks = cell.config.method in METHODS
        samples = loaded[cell.data.name].samples
        planned.append((cell, estimate(cell.config, samples, sees=False) if asks else None))
    return planned


def run_batch(
    grid: Grid,
    out: Path,
    only: str = "*",
    retry_failed: bool = False,
    reporter: Reporter | None = None,
) -> list[Row]:
    """Run what is left of a grid, and write its tables.

    Args:
        grid: The grid.
        out: Folder of the runs, and of ``results.csv``, ``results.md`` and ``tokens.svg``.
        only: Pattern of the runs that are wanted.
        retry_failed: Run once more what failed before.
        reporter: Where progress goes.

    Returns:
        A row for each run of the whole grid that was ever tried, in the grid's order.

    Raises:
        InputError: A setting is wrong, or the folder cannot be written.
    """
    reporter = reporter or Reporter()
    every = cells(grid)
    wanted = {cell.name for cell in cells(grid, only)}
    for number, cell in enumerate(every, 1):
        folder = out / cell.name
        before = read_json(_record(folder))
        tried = before and (before["status"] == "done" or not retry_failed)
        if cell.name in wanted and not tried:
            reporter.say(f"run {number} of {len(every)}: {cell.name}")
            row = _apart(cell, folder)
            write_json(_record(folder), row)
            told = row["error"] or f"ACC {row['acc']:.3f}, {row['seconds']:.0f} s"
            reporter.say(f"{cell.name}: {told}")
            _write(grid, every, out)
    return _write(grid, every, out)


def _write(grid: Grid, every: list[Cell], out: Path) -> list[Row]:
    rows = [row for cell in every if (row := read_json(_record(out / cell.name)))]
    known = {data.name: published(grid, data) for data in grid.datasets}
    write_tables(out, grid.title, rows, known)
    return rows


def _record(folder: Path) -> Path:
    """Where the row of a run is kept: beside its folder, which a failed run may not have."""
    return folder.with_name(f"{folder.name}.json")


def _apart(cell: Cell, folder: Path) -> Row:
    """Run a cell in a new process; its row says what became of it."""
    row: Row = {"dataset": cell.data.name, "method": cell.method, "seed": cell.seed}
    row |= {"status": "failed", "error": ""}
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return row | pool.submit(_run, cell, folder).result()
    except BrokenProcessPool:
        return row | {"error": "its process died, perhaps for want of memory"}


def _run(cell: Cell, folder: Path) -> Row:
    """What running a cell gave, or why it failed; an error of ours cannot leave the process."""
    try:
        return _measured(cell, folder) | {"status": "done"}
    except AgentclustError as error:
        return {"error": str(error)}
    except Exception as error:  # one broken run must not end the batch
        return {"error": f"{type(error).__name__}: {error}"}


def _measured(cell: Cell, folder: Path) -> Row:
    """Run or go on with a cell, compare it with the true labels, and measure it."""
    began = time.monotonic()
    reporter = Reporter(quiet=True)
    if (folder / "run.json").exists():
        if read_state(folder)["status"] != "done":
            resume(folder, reporter)
    else:
        start([cell.config], folder, _dataset(cell), reporter)
    scores = evaluate(folder, cell.labels, cell.data.axis).summary()
    used = sum(read_usage(folder).values(), Usage())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        scores
        | {name: getattr(used, name) for name in COUNTED}
        | {"seconds": round(time.monotonic() - began, 1)}
        | {"peak_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10))}
    )


def _dataset(cell: Cell) -> Dataset:
    found = datasets.load(cell.config.dataset)
    if cell.data.take is None or cell.data.take >= len(found.samples):
        return found
    step = len(found.samples) / cell.data.take
    kept = tuple(found.samples[int(i * step)] for i in range(cell.data.take))
    return replace(found, samples=kept)
