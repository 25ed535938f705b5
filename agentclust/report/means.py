"""Rows of a batch, one a run, and their means over the seeds beside published scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

Row = Mapping[str, Any]
Section = tuple[str, str]  # a dataset and a criterion, which is empty where there is but one

SCORES = ("acc", "nmi", "ari", "purity", "ece")
COUNTS = (
    "n_clusters", "unassigned", "calls", "prompt_tokens", "cached_prompt_tokens",
    "completion_tokens", "seconds", "peak_mb",
)  # fmt: skip
COLUMNS = (
    "dataset", "criterion", "method", "model", "seed", "status", "n", *SCORES, *COUNTS,
    "resumed", "folder", "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean of a value over seeds and its standard deviation, None for a single one."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        text = f"{self.mean:.3f}"
        return text if self.deviation is None else f"{text} ± {self.deviation:.3f}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a method's runs over the seeds, or a published row.

    Attributes:
        section: The dataset and the criterion.
        method: The method; for a published row who published it.
        model: The model, empty where there is none to tell.
        published: Whether the scores are published ones.
        values: Mean and deviation by column, of `SCORES` and `COUNTS` as far as they are known.
        runs: Seed and folder of each run.
    """

    section: Section
    method: str
    model: str
    published: bool
    values: Mapping[str, Spread]
    runs: tuple[tuple[int, str], ...] = ()

    @property
    def title(self) -> str:
        """What it is called in a table."""
        name = f"{self.method}, {self.model}" if self.model else self.method
        return f"published: {name}" if self.published else name


def lines(rows: Sequence[Row], published: Mapping[Section, Sequence[Row]]) -> list[Line]:
    """The lines of the whole table, by section, published ones last in each."""
    found: list[Line] = []
    for section in sections(rows, published):
        done = [row for row in rows if section_of(row) == section and row["status"] == "done"]
        for method, model in dict.fromkeys((row["method"], row.get("model", "")) for row in done):
            own = [r for r in done if (r["method"], r.get("model", "")) == (method, model)]
            runs = tuple((int(row["seed"]), str(row.get("folder", ""))) for row in own)
            found.append(Line(section, str(method), str(model), False, _values(own), runs))
        found += [_published(section, row) for row in published.get(section, ())]
    return found


def sections(rows: Sequence[Row], published: Mapping[Section, Sequence[Row]]) -> list[Section]:
    """The sections that have a row of any kind, in the order of the grid."""
    there = {section_of(row) for row in rows}
    known = [section for section in published if section in there or published[section]]
    return list(dict.fromkeys([*known, *map(section_of, rows)]))


def section_of(row: Row) -> Section:
    """The section that a row belongs to."""
    return str(row["dataset"]), str(row.get("criterion", ""))


def tidy(found: Sequence[Line]) -> Iterator[dict[str, Any]]:
    """The lines as rows of plain values: a column for each mean and each deviation."""
    for line in found:
        row: dict[str, Any] = {
            "dataset": line.section[0],
            "criterion": line.section[1],
            "method": line.method,
            "model": line.model,
            "published": line.published,
            "seeds": len(line.runs),
        }
        for column in (*SCORES, *COUNTS):
            value = line.values.get(column)
            row[column] = value.mean if value else None
            row[f"{column}_sd"] = value.deviation if value else None
        yield row


def _values(rows: Sequence[Row]) -> dict[str, Spread]:
    found = {}
    for column in (*SCORES, *COUNTS):
        # what a run took that was cut off and went on is not known as a whole
        timed = [row for row in rows if not row.get("resumed")] or rows
        values = [row[column] for row in (timed if column in ("seconds", "peak_mb") else rows)
                  if row.get(column) is not None]  # fmt: skip
        if values:
            found[column] = Spread(fmean(values), stdev(values) if len(values) > 1 else None)
    return found


def _published(section: Section, row: Row) -> Line:
    note = f" ({row['note']})" if row.get("note") else ""
    values = {name: Spread(float(row[name]), None) for name in SCORES if row.get(name)}
    return Line(section, f"{row['llm']}{note}", "", True, values)
