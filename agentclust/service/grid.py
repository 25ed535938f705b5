"""A batch file: datasets by criteria by methods by models by seeds, and the runs that these make.

It knows nothing of running them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agentclust.config import RunConfig, make_config
from agentclust.datasets import folder_of
from agentclust.datasets.writing import LABELS
from agentclust.errors import InputError
from agentclust.run import slug


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Published(_Part):
    """Published scores to show beside a dataset's.

    They are the rows of that dataset in a CSV file with the columns ``dataset``, ``llm``, ``acc``,
    ``nmi``, ``ari`` and ``note``, relative to `root` or else to the batch file. A score that is not
    known is left empty.
    """

    file: str
    dataset: str


class Aim(_Part):
    """A criterion under a short name, and what belongs to it alone.

    Attributes:
        axis: Column of the true labels.
        settings: Settings of its runs; they stand above the dataset's.
    """

    name: str
    criterion: str
    axis: str | None = None
    n_clusters: int | Literal["auto"] = "auto"
    published: Published | None = None
    settings: dict[str, Any] = {}


class Data(_Part):
    """One dataset with its true labels.

    Where `labels` is left out, they are those of a prepared dataset: ``labels.csv`` beside it.

    It is grouped by its `criteria`; or by one `criterion` of its own, with `axis`, `n_clusters` and
    `published`; or, where neither is given, by the criteria of the grid.
    """

    name: str
    dataset: str = Field(description="folder, manifest or registered name; relative to `root`")
    labels: str = Field("", description="CSV of true labels, relative to `root`")
    axis: str | None = None
    criterion: str | None = None
    n_clusters: int | Literal["auto"] = "auto"
    published: Published | None = None
    criteria: tuple[Aim, ...] = ()
    take: int | None = Field(None, ge=2, description="so many samples, evenly out of all")
    settings: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Data:
        if self.criteria and self.criterion:
            raise ValueError("has both 'criterion' and 'criteria'")
        alone = {"axis", "n_clusters", "published"} & self.model_fields_set
        if not self.criterion and alone:
            raise ValueError(f"{min(alone)!r} goes with 'criterion', or into 'criteria'")
        return self


class Way(_Part):
    """A method or a model: settings of a run under a name."""

    name: str
    settings: dict[str, Any] = {}


class Grid(_Part):
    """A batch file.

    Settings stand one above the other: those of the grid, of the dataset, of the criterion, of the
    method, of the model.

    Attributes:
        title: Heading of the table.
        root: Folder that datasets and labels lie in, relative to the file.
        beside: Folder of the file.
        settings: Settings of every run.
        criteria: For the datasets that name none of their own.
        models: Settings that name a model; may be left out.
        include: Patterns of the names of runs (`Cell.name`) that are wanted.
        exclude: Patterns of those that are left out of them.
    """

    title: str
    root: str = "."
    beside: str = "."
    settings: dict[str, Any] = {}
    datasets: tuple[Data, ...] = Field(min_length=1)
    criteria: tuple[Aim, ...] = ()
    methods: tuple[Way, ...] = Field(min_length=1)
    models: tuple[Way, ...] = ()
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


class Cell(_Part):
    """One run of a grid.

    Attributes:
        name: Its folder below the batch's: dataset, criterion, method, model and seed; the
            criterion is left out where the dataset names but one as its own, the model where the
            grid names none.
        criterion: The criterion's short name, empty where it is left out of `name`.
        model: The model's name, empty where the grid names none.
        axis: Column of the true labels.
    """

    name: str
    data: Data
    criterion: str
    method: str
    model: str
    seed: int
    config: RunConfig
    labels: Path
    axis: str | None
    published: Published | None

    def about(self) -> dict[str, Any]:
        """What its row of the table is about."""
        return {
            "dataset": self.data.name,
            "criterion": self.criterion,
            "method": self.method,
            "model": self.model,
            "seed": self.seed,
        }


def read_grid(file: Path, root: Path | None = None) -> Grid:
    """A batch file, its root made absolute.

    Args:
        file: The YAML file.
        root: The folder of datasets, in place of the file's own.

    Raises:
        InputError: It cannot be read, or holds what is no grid; the message names the field.
    """
    try:
        values = yaml.safe_load(file.read_text("utf-8-sig"))
        grid = Grid(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        why = problem["msg"].removeprefix("Value error, ")
        raise InputError(f"{file}: {place}", why, "see examples/") from None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise InputError(file, f"is no batch file ({error})", "see examples/") from None
    beside = file.parent.absolute()
    whole = (root or beside / grid.root).absolute()
    return grid.model_copy(update={"root": str(whole), "beside": str(beside)})


def cells(grid: Grid, only: Sequence[str] = ("*",)) -> list[Cell]:
    """The runs of a grid, in its order.

    Args:
        grid: The grid.
        only: Patterns of the names that are wanted.

    Raises:
        InputError: A setting is wrong, a dataset has no criterion, two runs have one folder, or
            none is left.
    """
    found: dict[str, Cell] = {}
    names = set[str]()
    for cell in _all(grid):
        if cell.name in names:
            raise InputError(cell.name, "is the folder of two runs", "name them apart")
        names.add(cell.name)
        wanted = all(any(fnmatch(cell.name, p) for p in some) for some in (only, grid.include))
        if wanted and not any(fnmatch(cell.name, p) for p in grid.exclude):
            found[cell.name] = cell
    if not found:
        todo = f"the names are such as {min(names)!r}"
        raise InputError(", ".join(only), "is the pattern of no run", todo)
    return list(found.values())


def _all(grid: Grid) -> Iterator[Cell]:
    for data in grid.datasets:
        aims = _aims(grid, data)
        for aim, method, model, seed in product(
            aims, grid.methods, grid.models or (Way(name=""),), grid.seeds
        ):
            yield _cell(grid, data, aim, method, model, seed)


def _aims(grid: Grid, data: Data) -> tuple[Aim, ...]:
    """What a dataset is grouped by; the name of the one criterion of its own is empty."""
    if data.criterion:
        names = ("criterion", "axis", "n_clusters", "published")
        return (Aim(name="", **{name: getattr(data, name) for name in names}),)
    aims = data.criteria or grid.criteria
    if not aims:
        todo = "give it a 'criterion', or the file 'criteria'"
        raise InputError(data.name, "has no criterion to group by", todo)
    return aims


def _cell(grid: Grid, data: Data, aim: Aim, method: Way, model: Way, seed: int) -> Cell:
    root = Path(grid.root)
    there = root / data.dataset
    values = {
        "dataset": str(there) if there.exists() else data.dataset,
        "criterion": aim.criterion,
        "n_clusters": aim.n_clusters,
        "seed": seed,
    }
    above = (data.settings, aim.settings, method.settings, model.settings)
    settings = grid.settings | values
    for more in above:
        settings |= more
    parts = [slug(part.name) for part in (data, aim, method, model) if part.name]
    return Cell(
        name="/".join([*parts, str(seed)]),
        data=data,
        criterion=aim.name,
        method=method.name,
        model=model.name,
        seed=seed,
        config=make_config(settings),
        labels=root / data.labels if data.labels else _labels_beside(there, data.dataset),
        axis=aim.axis,
        published=aim.published,
    )


def _labels_beside(there: Path, name: str) -> Path:
    """The true labels of a prepared dataset, given by its folder, a manifest in it, or its name."""
    folder = there if there.exists() else folder_of(name)
    return (folder.parent if folder.is_file() else folder) / LABELS


def published(grid: Grid, cell: Cell) -> list[dict[str, str]]:
    """The published rows of a cell's dataset and criterion.

    Raises:
        InputError: The file cannot be read.
    """
    if cell.published is None:
        return []
    places = [Path(folder) / cell.published.file for folder in (grid.root, grid.beside)]
    file = next((place for place in places if place.exists()), places[0])
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError) as error:
        raise InputError(file, f"cannot be read ({error})", "give a CSV file") from None
    return [row for row in rows if row.get("dataset") == cell.published.dataset]
