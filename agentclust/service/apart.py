"""One run of a batch in a process of its own, so that its time, memory and end are its own."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess, parent_process
from pathlib import Path
from typing import Any

from agentclust.engines import Place
from agentclust.errors import AgentclustError
from agentclust.files.journal import read_json, write_json
from agentclust.progress import Reporter
from agentclust.run.opening import is_open
from agentclust.run.record import read_state, read_usage
from agentclust.service.evaluating import evaluate
from agentclust.service.grid import Cell
from agentclust.service.running import resume, start
from agentclust.types import Dataset, Usage

Row = dict[str, Any]
COUNTED = ("calls", "prompt_tokens", "cached_prompt_tokens", "completion_tokens")
PATIENCE = 30.0  # seconds that a run of a killed batch may take to end


def record_of(folder: Path) -> Path:
    """Where the row of a run is kept: beside its folder, which a failed run may not have."""
    return folder.with_name(f"{folder.name}.json")


def server() -> BaseContext:
    """What processes are begun from: one that has imported everything and forks itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "agentclust.models.openai"])
    return context


def begin(
    context: BaseContext, cell: Cell, folder: Path, dataset: Dataset, place: Place
) -> BaseProcess:
    """Begin to run a cell; what became of it is in its record when the process has ended."""
    # the server that forks it may be older than a change of the environment
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=_run, args=(cell, folder, dataset, place, dict(os.environ)), daemon=True
    )
    process.start()
    return process


def outcome(process: BaseProcess, folder: Path) -> Row:
    """The row of a process that has ended."""
    process.join()
    row = read_json(record_of(folder))
    if row is None:
        code = process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        row = failed(f"its process died ({how}), perhaps for want of memory")
        write_json(record_of(folder), row)
    process.close()
    return dict(row)


def failed(why: str) -> Row:
    """The row of a run that gave nothing."""
    return {"status": "failed", "error": why}


def _run(
    cell: Cell, folder: Path, dataset: Dataset, place: Place, environment: Mapping[str, str]
) -> None:
    """Run a cell and write its row; no error leaves the process."""
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        row = _measured(cell, folder, dataset, place) | {"status": "done", "error": ""}
    except KeyboardInterrupt:
        os._exit(130)
    except AgentclustError as error:
        row = failed(str(error))
    except Exception as error:  # one broken run must not end the batch
        row = failed(f"{type(error).__name__}: {error}")
    write_json(record_of(folder), row)


def _end_with_parent() -> None:
    """Nobody waits for a run whose batch was killed; the next start goes on with it."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _measured(cell: Cell, folder: Path, dataset: Dataset, place: Place) -> Row:
    """Run or go on with a cell, compare it with the true labels, and measure it."""
    began = time.monotonic()
    reporter = Reporter(quiet=True)
    while folder.is_dir() and is_open(folder) and time.monotonic() < began + PATIENCE:
        time.sleep(0.05)  # its process is ending
    begun = (folder / "run.json").exists()
    if not begun:
        start([cell.config], folder, dataset, reporter, place=place)
    elif read_state(folder)["status"] != "done":
        resume(folder, reporter, place)
    scores = evaluate(folder, cell.labels, cell.axis).summary()
    used = sum(read_usage(folder).values(), Usage())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        scores
        | {name: getattr(used, name) for name in COUNTED}
        | {"seconds": round(time.monotonic() - began, 1), "resumed": begun}
        | {"peak_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10))}
    )
