"""The confusion matrix in the order in which people read it: matched pairs on the diagonal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agentclust.report.view import Agreement

SHOWN = 60  # rows and columns; a larger matrix is no longer read but searched
MISTAKES = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of a class are in a cluster; `level` 0..10 is their share of the class."""

    count: int
    level: int
    matched: bool


@dataclass(frozen=True, slots=True)
class Mistake:
    """Samples of one class that are not in the cluster matched to it."""

    true_class: str
    cluster: str
    count: int
    of: int


@dataclass(frozen=True)
class Confusion:
    """The matrix as rows of cells, and its largest mistakes; no rows where it is too large."""

    columns: list[str]
    rows: list[tuple[str, int, list[Cell]]]
    mistakes: list[Mistake]


def confusion(agreement: Agreement, names: tuple[str, ...]) -> Confusion:
    """Order rows and columns of an agreement for reading.

    Args:
        agreement: The counts, classes and matching.
        names: Cluster names, shape (n_clusters,).
    """
    counts, matching = agreement.counts, agreement.matching
    rows = sorted(range(len(agreement.classes)), key=lambda row: (row not in matching, row))
    matched = [matching[row] for row in rows if row in matching]
    columns = [*matched, *(column for column in range(len(names)) if column not in matched)]
    titles = [*names, "unassigned"]
    if counts[:, -1].any():
        columns.append(len(names))
    totals = [int(total) for total in counts.sum(axis=1)]

    def cell(row: int, column: int) -> Cell:
        count = int(counts[row, column])
        level = math.ceil(10 * count / totals[row]) if totals[row] else 0
        return Cell(count, level, matching.get(row) == column)

    readable = max(len(rows), len(columns)) <= SHOWN
    mistakes = [
        Mistake(agreement.classes[row], titles[column], int(counts[row, column]), totals[row])
        for row in rows
        for column in columns
        if counts[row, column] and matching.get(row) != column
    ]
    return Confusion(
        columns=[titles[column] for column in columns],
        rows=[
            (agreement.classes[row], totals[row], [cell(row, column) for column in columns])
            for row in (rows if readable else [])
        ],
        mistakes=sorted(mistakes, key=lambda mistake: -mistake.count)[:MISTAKES],
    )
