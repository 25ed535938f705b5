"""A grouping: the names, the group of each sample, and what the groups are kinds of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentclust.errors import InputError
from agentclust.ictc import assignment
from agentclust.types import Sample
from agentclust.work import Work

Row = dict[str, Any]
Edit = Mapping[str, Any]


@dataclass(frozen=True)
class Grouping:
    """A result as it stands.

    Attributes:
        names: The groups, in the order in which they are shown; a row's cluster is an index of it.
        rows: For each sample its row, as `agentclust.ictc.assignment` makes them, in the order of
            the samples. ``not`` in a row lists the groups that a person said are wrong for it.
        parents: What a group is a kind of, by its name; a parent may be a group, too.
    """

    names: tuple[str, ...]
    rows: Mapping[str, Row]
    parents: Mapping[str, str] = field(default_factory=dict)

    def members(self, name: str) -> list[str]:
        """The ids of the samples in a group; of those in none for an empty name."""
        return [sample_id for sample_id, row in self.rows.items() if row["name"] == name]

    def sizes(self) -> dict[str, int]:
        """How many samples each group holds, in the order of `names`."""
        counts = dict.fromkeys(self.names, 0)
        for row in self.rows.values():
            if row["cluster"] >= 0:
                counts[row["name"]] += 1
        return counts


def grouping_of(work: Work, attempt: str = "") -> Grouping:
    """The grouping of an attempt, by default the current one, without any edit.

    Raises:
        InputError: It has no result yet.
    """
    folder = attempt or str(work.run.state["attempt"])
    found = work.run.read_of(folder, "clusters.json")
    rows = work.run.rows(f"{folder}/assignments.jsonl").known
    if found is None or not rows:
        todo = f"run: agentclust resume {work.run.folder}"
        raise InputError(work.run.folder / folder, "has no result yet", todo)
    names = tuple(found["names"])
    return Grouping(names, _Begun(rows, work.samples, names))


class _Begun(Mapping[str, Row]):
    """The rows of an attempt in the order of the samples, each read when it is looked at."""

    def __init__(
        self, rows: Mapping[str, Row], samples: Sequence[Sample], names: Sequence[str]
    ) -> None:
        self._rows, self._samples = rows, samples
        unfinished = (-1, names, 0.0, "", "not assigned")
        self._missing = {s.id: assignment(s.id, *unfinished) for s in samples if s.id not in rows}

    def __getitem__(self, sample_id: str) -> Row:
        missing = self._missing.get(sample_id)
        return self._rows[sample_id] if missing is None else missing

    def __iter__(self) -> Iterator[str]:
        return (sample.id for sample in self._samples)

    def __len__(self) -> int:
        return len(self._samples)


def regrouped(
    grouping: Grouping,
    names: Sequence[str],
    placed: Mapping[str, Row] | None = None,
    spelt: Mapping[str, str] | None = None,
) -> Grouping:
    """The grouping with other names, or samples elsewhere.

    Args:
        grouping: What is changed.
        names: The groups there shall be.
        placed: New rows by sample id; only their ``name`` says where they are.
        spelt: New names by the old ones, for the samples that stay where they are.
    """
    placed, spelt = placed or {}, spelt or {}
    index = {name: i for i, name in enumerate(names)}
    rows = {}
    for sample_id, old in grouping.rows.items():
        row = placed.get(sample_id, old)
        name = spelt.get(row["name"], row["name"])
        changed = {"cluster": index.get(name, -1), "name": name if name in index else ""}
        rows[sample_id] = row if changed.items() <= row.items() else row | changed
    parents = {
        spelt.get(child, child): spelt.get(parent, parent)
        for child, parent in grouping.parents.items()
    }
    return Grouping(tuple(names), rows, _without_circles(parents, names))


def row_of(sample_id: str, name: str, confidence: float, by: str, reason: str = "") -> Row:
    """A row for `regrouped`, which finds its cluster by the name."""
    return assignment(sample_id, -1, (), confidence, by, reason) | {"name": name}


def ancestors(name: str, parents: Mapping[str, str]) -> Iterable[str]:
    """What a group is a kind of, the nearest first."""
    seen = {name}
    while name in parents and parents[name] not in seen:
        name = parents[name]
        seen.add(name)
        yield name


def _without_circles(parents: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The parents of groups that are there; what a merge has made its own parent has none."""
    kept: dict[str, str] = {}
    for child, parent in parents.items():
        if child in names and child != parent and child not in ancestors(parent, kept):
            kept[child] = parent
    return kept
