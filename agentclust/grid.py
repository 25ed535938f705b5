"""A batch file: datasets by methods by seeds, and the runs that these make.

It knows nothing of running them.
"""

from __future__ import annotations

import csv
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentclust.config import RunConfig, make_config
from agentclust.errors import InputError
from agentclust.run import slug


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Published(_Part):
    """Published scores to show beside a dataset's.

    They are the rows of that dataset in a CSV file with the columns ``dataset``, ``llm``, ``acc``,
    ``nmi``, ``ari`` and ``note``, relative to `root`.
    """

    file: str
    dataset: str


class Data(_Part):
    """One dataset with its criterion and its true labels."""

    name: str
    dataset: str = Field(description="folder, manifest or registered name; relative to `root`")
    labels: str = Field(description="CSV of true labels, relative to `root`")
    axis: str | None = None
    criterion: str
    n_clusters: int | Literal["auto"] = "auto"
    take: int | None = Field(None, ge=2, description="so many samples, evenly out of all")
    published: Published | None = None
    settings: dict[str, Any] = {}


class Method(_Part):
    """One way to cluster: settings of a run under a name."""

    name: str
    settings: dict[str, Any] = {}


class Grid(_Part):
    """A batch file.

    Attributes:
        title: Heading of the table.
        root: Folder that datasets and labels lie in, relative to the file.
        settings: Settings of every run; those of a dataset and then of a method stand above them.
        exclude: Patterns of ``dataset/method/seed`` that are left out.
    """

    title: str
    root: str = "."
    settings: dict[str, Any] = {}
    datasets: tuple[Data, ...] = Field(min_length=1)
    methods: tuple[Method, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    exclude: tuple[str, ...] = ()


class Cell(_Part):
    """One run of a grid; `name` is its folder below the batch's."""

    name: str
    data: Data
    method: str
    seed: int
    config: RunConfig
    labels: Path


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
        raise InputError(f"{file}: {place}", problem["msg"], "see examples/") from None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise InputError(file, f"is no batch file ({error})", "see examples/") from None
    return grid.model_copy(update={"root": str((root or file.parent / grid.root).absolute())})


def cells(grid: Grid, only: str = "*") -> list[Cell]:
    """The runs of a grid, in its order.

    Args:
        grid: The grid.
        only: Pattern of the ``dataset/method/seed`` that are wanted.

    Raises:
        InputError: A setting is wrong, two runs have one folder, or none is left.
    """
    found: dict[str, Cell] = {}
    for data in grid.datasets:
        for method in grid.methods:
            for seed in grid.seeds:
                name = f"{slug(data.name)}/{slug(method.name)}/{seed}"
                if name in found:
                    raise InputError(name, "is the folder of two runs", "name them apart")
                if fnmatch(name, only) and not any(fnmatch(name, p) for p in grid.exclude):
                    found[name] = _cell(grid, data, method, seed, name)
    if not found:
        raise InputError(only, "is the pattern of no run", "write for example 'cifar10/*'")
    return list(found.values())


def _cell(grid: Grid, data: Data, method: Method, seed: int, name: str) -> Cell:
    root = Path(grid.root)
    there = root / data.dataset
    values = {
        "dataset": str(there) if there.exists() else data.dataset,
        "criterion": data.criterion,
        "n_clusters": data.n_clusters,
        "seed": seed,
    }
    config = make_config(grid.settings | values | data.settings | method.settings)
    return Cell(
        name=name,
        data=data,
        method=method.name,
        seed=seed,
        config=config,
        labels=root / data.labels,
    )


def published(grid: Grid, data: Data) -> list[dict[str, str]]:
    """The published rows of a dataset.

    Raises:
        InputError: The file cannot be read.
    """
    if data.published is None:
        return []
    file = Path(grid.root) / data.published.file
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError) as error:
        raise InputError(file, f"cannot be read ({error})", "give a CSV file") from None
    return [row for row in rows if row.get("dataset") == data.published.dataset]
