"""What a batch will take, before it starts: runs, calls, tokens, time and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from agentclust import datasets, plugins
from agentclust.captioned import looked_at
from agentclust.datasets.labels import read_labels
from agentclust.errors import AgentclustError
from agentclust.models import in_process
from agentclust.service.estimate import Estimate, estimate
from agentclust.service.grid import Cell
from agentclust.service.running import METHODS
from agentclust.types import Dataset

Row = dict[str, Any]

# what is assumed until runs of the batch itself tell: seconds a run takes to begin, samples that
# are embedded a second (MiniLM on two cores), tokens that a small model in process reads a second
# (Qwen2.5-1.5B on two cores), and seconds of an endpoint's answer
BEGIN, EMBED, READ, ANSWER = 5.0, 200.0, 140.0, 1.0


@dataclass(frozen=True)
class Planned:
    """A run of a batch, before it is run.

    Attributes:
        cell: The run.
        n: Samples; 0 where the dataset is broken.
        cost: About what it will cost; None where no model is asked, or the dataset is broken.
        seconds: About how long it will take.
        problem: Why it cannot be run, empty where it can.
    """

    cell: Cell
    n: int
    cost: Estimate | None
    seconds: float
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"{self.cell.name}: cannot be run: {self.problem}"
        return f"{self.cell.name}: {self.cost or 'asks no model'}, about {_time(self.seconds)}"


class Shelf:
    """The datasets of a batch, each read once."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, int | None], Dataset | AgentclustError] = {}

    def take(self, cell: Cell) -> Dataset:
        """The samples of a cell.

        Raises:
            AgentclustError: The dataset cannot be read, each time it is asked for.
        """
        name = (cell.config.dataset, cell.data.take)
        if name not in self._read:
            try:
                self._read[name] = _part(datasets.load(cell.config.dataset), cell.data.take)
            except AgentclustError as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, AgentclustError):
            raise found
        return found


def forecast(every: Sequence[Cell], shelf: Shelf, rows: Sequence[Row] = ()) -> list[Planned]:
    """About what each run will cost; a broken dataset is said and does not stop the others.

    Answers that several runs share are counted once for captions, and for each run otherwise: what
    is found in the answer store makes it cheaper.

    Args:
        every: The runs.
        shelf: Where datasets are read.
        rows: Rows of finished runs, which tell how long others take.
    """
    captioned = set[object]()
    labels_fit: dict[tuple[str, Path, str | None], str] = {}
    planned = []
    for cell in every:
        try:
            dataset = shelf.take(cell)
            known = (cell.config.dataset, cell.labels, cell.axis)
            if known not in labels_fit:
                ids = [sample.id for sample in dataset.samples]
                files = [str(sample.file or "") for sample in dataset.samples]
                read_labels(cell.labels, ids, cell.axis, files)
                labels_fit[known] = ""
        except AgentclustError as error:
            planned.append(Planned(cell, 0, None, 0.0, str(error)))
            continue
        config = cell.config
        sees = config.vlm.model != "none" and config.vlm.model not in plugins.names("captioners")
        captions = (config.dataset, config.criterion, config.vlm.model)
        once = sees and (captions not in captioned or not config.cache)
        captioned.add(captions)
        asks = config.method in METHODS
        cost = estimate(config, looked_at(config, dataset.samples), once) if asks else None
        planned.append(Planned(cell, len(dataset), cost, _seconds(cell, len(dataset), cost, rows)))
    return planned


def told(planned: Sequence[Planned], done: int = 0) -> str:
    """The whole of it in one line.

    Args:
        planned: The runs that are to be done.
        done: Runs that are finished already.
    """
    runs = [run for run in planned if not run.problem]
    parts = [f"{len(runs)} run{'s' * (len(runs) != 1)} to do"]
    parts += [f"{done} done before"] if done else []
    broken = len(planned) - len(runs)
    parts += [f"{broken} that cannot be run"] if broken else []
    costs = [run.cost for run in runs if run.cost]
    if costs:
        money = [cost.dollars for cost in costs]
        whole = Estimate(
            sum(cost.calls for cost in costs),
            sum(cost.read for cost in costs),
            sum(cost.written for cost in costs),
            None if None in money else sum(amount or 0 for amount in money),
        )
        parts.append(str(whole))
    parts.append(f"about {_time(sum(run.seconds for run in runs))} one after another")
    return ", ".join(parts)


def _seconds(cell: Cell, n: int, cost: Estimate | None, rows: Sequence[Row]) -> float:
    """By runs that differ in the seed alone, else in the dataset, else by what is assumed."""
    alike = [
        row
        for row in rows
        if row["status"] == "done" and not row.get("resumed")
        and (row["method"], row["model"]) == (cell.method, cell.model)
    ]  # fmt: skip
    own = [row["seconds"] for row in alike if row["dataset"] == cell.data.name]
    if own:
        return fmean(own)
    if alike:
        return BEGIN + n * fmean(max(0.0, row["seconds"] - BEGIN) / row["n"] for row in alike)
    seconds = BEGIN + n / EMBED
    model = cell.config.llm
    if cost is None or model.model.partition(":")[0] == "fake":
        return seconds
    if in_process(model.model):
        return seconds + (cost.read + cost.written) / READ
    return seconds + cost.calls * ANSWER / model.concurrency


def _part(found: Dataset, take: int | None) -> Dataset:
    """So many of the samples, evenly out of all."""
    if take is None or take >= len(found):
        return found
    step = len(found) / take
    return replace(found, samples=tuple(found.samples[int(i * step)] for i in range(take)))


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
