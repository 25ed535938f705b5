"""Comparing runs with each other: which images they put together alike, and which they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from agentclust.errors import InputError
from agentclust.files.journal import whole_rows
from agentclust.metrics.crossing import Crossing, cross
from agentclust.run.record import SAMPLES, read_clustering
from agentclust.service.folders import runs_in
from agentclust.types import Clustering

UNASSIGNED = "unassigned"
WIDE = 10  # columns that still read as a table
CELL = 14  # characters of a cell
TOP = 4  # largest crossings of a cluster that are listed where there is no table


@dataclass(frozen=True)
class Pair:
    """Two of the runs on the images that they have in common.

    Attributes:
        first, second: Numbers of the runs.
        ids: The images in common, in the order of the first run, shape (n,).
        labels: Cluster of each image in the first and in the second run, shape (2, n).
        crossing: How far they agree.
    """

    first: int
    second: int
    ids: tuple[str, ...]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    crossing: Crossing


@dataclass(frozen=True)
class Comparison:
    """Several runs beside each other: every two of them crossed."""

    runs: tuple[Clustering, ...]
    pairs: tuple[Pair, ...]

    def names(self, run: int) -> list[str]:
        """The names of a run's clusters, and of what is in none."""
        return [*self.runs[run].names, UNASSIGNED]

    def disagreements(self, pair: Pair) -> list[dict[str, str]]:
        """The images in clusters that are not matched: id, and its name in either run."""
        names = [self.names(pair.first), self.names(pair.second)]
        return [
            {
                "id": pair.ids[i],
                "first": names[0][pair.labels[0, i]],
                "second": names[1][pair.labels[1, i]],
            }
            for i in np.flatnonzero(~pair.crossing.same)
        ]

    def as_json(self) -> dict[str, Any]:
        """The whole comparison as plain data."""
        return {
            "runs": [
                {
                    "run": str(run.run),
                    "criterion": run.criterion,
                    "method": run.method,
                    "n": len(run),
                    "names": list(run.names),
                }
                for run in self.runs
            ],
            "pairs": [self._pair_as_json(pair) for pair in self.pairs],
        }

    def _pair_as_json(self, pair: Pair) -> dict[str, Any]:
        crossing = pair.crossing
        return {
            "first": pair.first,
            "second": pair.second,
            "n": len(pair.ids),
            "ari": crossing.ari,
            "ami": crossing.ami,
            "agreement": float(crossing.same.mean()),
            "rows": self.names(pair.first),
            "columns": self.names(pair.second),
            "counts": crossing.counts.tolist(),
            "matching": sorted(crossing.matching.items()),
            "disagreements": self.disagreements(pair),
        }

    def as_text(self, limit: int) -> str:
        """The comparison for a person.

        Args:
            limit: Images to list of those that two runs disagree on.
        """
        parts = [
            f"{number}  {run.run}: {len(run)} images by {run.criterion!r} ({run.method}), "
            f"{run.n_clusters} clusters"
            for number, run in enumerate(self.runs, 1)
        ]
        for pair in self.pairs:
            parts += ["", *self._heading(pair), "", *self._table(pair), *self._told(pair, limit)]
        return "\n".join(parts)

    def _heading(self, pair: Pair) -> list[str]:
        crossing, n = pair.crossing, len(pair.ids)
        lines = [
            f"{pair.first + 1} and {pair.second + 1}: ARI {crossing.ari:.3f}, AMI "
            f"{crossing.ami:.3f}, {int(crossing.same.sum())} of {n} images in matched clusters"
        ]
        for number in (pair.first, pair.second):
            if len(self.runs[number]) > n:
                lines.append(f"{len(self.runs[number]) - n} images are in {number + 1} alone")
        return lines

    def _table(self, pair: Pair) -> list[str]:
        """The crossing table, matched pairs marked; the largest cells alone where it is wide."""
        counts, matching = pair.crossing.counts, pair.crossing.matching
        rows, columns = self.names(pair.first), self.names(pair.second)
        partners = matching | {len(rows) - 1: len(columns) - 1}
        shown = [number for number in range(len(rows)) if counts[number].any()]
        order = list(dict.fromkeys([*(partners[r] for r in shown if r in partners),
                                    *range(len(columns))]))  # fmt: skip
        across = [number for number in order if counts[:, number].any()]

        def cell(row: int, column: int) -> str:
            return f"{counts[row, column]}{'*' if partners.get(row) == column else ' '}"

        if len(across) <= WIDE:
            head = "".join(f"{_cut(columns[column]):>{CELL}} " for column in across)
            return [
                f"{'':{CELL}} {head}".rstrip(),
                *(
                    f"{_cut(rows[row]):{CELL}} "
                    + "".join(f"{cell(row, column):>{CELL + 1}}" for column in across).rstrip()
                    for row in shown
                ),
            ]
        lines = []
        for row in shown:
            top = [int(c) for c in np.argsort(-counts[row], kind="stable")[:TOP] if counts[row, c]]
            listed = ", ".join(f"{cell(row, c).strip()} {columns[c]}" for c in top)
            more = int((counts[row] > 0).sum()) - len(top)
            lines.append(f"{rows[row]}: {listed}" + (f", and {more} more" if more else ""))
        return lines

    def _told(self, pair: Pair, limit: int) -> list[str]:
        found = self.disagreements(pair)
        if not found:
            return ["", "they disagree on no image"]
        lines = ["", f"images they disagree on: {len(found)}"]
        lines += [f"  {one['id']}: {one['first']} / {one['second']}" for one in found[:limit]]
        more = len(found) - limit
        return lines + ([f"  and {more} more; --json lists all"] if more > 0 else [])


def compare(folders: Sequence[Path]) -> Comparison:
    """Compare runs on the images that they have in common: the same id and the same bytes.

    Args:
        folders: Run directories, or folders of several.

    Raises:
        InputError: Fewer than two runs, one without a result, or two without a common image.
    """
    paths = [path for folder in folders for path in runs_in(folder)]
    if len(paths) < 2:
        raise InputError(paths[0], "is one run alone", "pass at least two")
    runs = tuple(read_clustering(path) for path in paths)
    contents = [_contents(run) for run in runs]
    pairs = []
    for first, second in combinations(range(len(runs)), 2):
        here, there = contents[first], contents[second]
        ids = [i for i in runs[first].ids if i in there and _same(here[i], there[i])]
        if not ids:
            why = f"has no image in common with {paths[second]}"
            raise InputError(paths[first], why, "compare runs of the same dataset")
        labels = np.stack([_labels(runs[number], ids) for number in (first, second)])
        sizes = runs[first].n_clusters, runs[second].n_clusters
        crossing = cross(labels[0], labels[1], *sizes)
        pairs.append(Pair(first, second, tuple(ids), labels, crossing))
    return Comparison(runs, tuple(pairs))


def _contents(run: Clustering) -> dict[str, str]:
    """Digest of each sample's file by its id, empty where it has none."""
    digests = {row["id"]: row["sha256"] for row in whole_rows(run.run / SAMPLES)
               if "id" in row}  # fmt: skip
    return {sample: digests.get(sample, "") for sample in run.ids}


def _same(one: str, other: str) -> bool:
    return one == other or not one or not other


def _labels(run: Clustering, ids: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    place = {sample: index for index, sample in enumerate(run.ids)}
    return run.labels_[[place[sample] for sample in ids]]


def _cut(name: str) -> str:
    return name if len(name) <= CELL else f"{name[: CELL - 1]}…"
