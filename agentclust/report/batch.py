"""The tables, plots and page of a batch.

It knows nothing of runs: rows in, files out.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from agentclust.files.journal import cannot_write
from agentclust.report import render
from agentclust.report.bars import bars
from agentclust.report.markup import as_latex, as_markdown, run_title, section_title
from agentclust.report.means import COLUMNS, Line, Row, Section, lines, section_of, sections, tidy
from agentclust.report.scatter import Point, scatter


def write_tables(
    out: Path, title: str, rows: Sequence[Row], published: Mapping[Section, Sequence[Row]]
) -> None:
    """Write what is known of a batch so far.

    ``results.csv`` has a row a run, ``summary.csv`` the means over the seeds beside the published
    scores; both stand there as ``.parquet``, too, where pyarrow is installed. ``results.md``,
    ``results.tex`` and ``report.html`` are the summary for people, ``tokens.svg`` the plot of ACC
    against tokens.

    Args:
        out: The folder.
        title: The heading.
        rows: One a run, with the fields of `COLUMNS` as far as they are known.
        published: Rows of published scores by section.

    Raises:
        RunError: The folder cannot be written.
    """
    found = lines(rows, published)
    plain = [{name: row.get(name) for name in COLUMNS} for row in rows]
    means = list(tidy(found))
    files: dict[str, Callable[[Path], object]] = {
        "results.csv": lambda part: _write_csv(plain, part),
        "summary.csv": lambda part: _write_csv(means, part),
        "results.md": lambda part: part.write_text(as_markdown(title, rows, published), "utf-8"),
        "results.tex": lambda part: part.write_text(as_latex(title, rows, published), "utf-8"),
        "tokens.svg": lambda part: part.write_text(_plot(title, rows), "utf-8"),
    }
    if find_spec("pyarrow"):
        files |= {
            "results.parquet": lambda part: _write_parquet(plain, part),
            "summary.parquet": lambda part: _write_parquet(means, part),
        }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, write in files.items():
            part = out / f".{name}.part"
            write(part)
            part.replace(out / name)
    except OSError as error:
        raise cannot_write(out, error) from None
    context = _context(title, rows, published, found)
    render("batch.html.j2", context, out / "report.html")


def _context(
    title: str,
    rows: Sequence[Row],
    published: Mapping[Section, Sequence[Row]],
    found: Sequence[Line],
) -> dict[str, Any]:
    """What the page shows: a section a dataset and criterion, with its lines, plot and failures."""
    entries = []
    for section in sections(rows, published):
        own = [line for line in found if line.section == section]
        failed = [(run_title(row), str(row["error"])) for row in rows
                  if section_of(row) == section and row["status"] != "done"]  # fmt: skip
        name = section_title(section)
        entries.append((name, own, Markup(bars(own, f"ACC on {name}")), failed))
    done = sum(row["status"] == "done" for row in rows)
    return {
        "title": title,
        "entries": entries,
        "done": done,
        "failed": len(rows) - done,
        "tokens": Markup(_plot(title, rows)),
        "link": lambda folder: quote(f"{folder}/report.html"),
    }


def _write_csv(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)


def _plot(title: str, rows: Sequence[Row]) -> str:
    points = [
        Point(
            row["prompt_tokens"] + row["completion_tokens"],
            row["acc"],
            section_title(section_of(row)),
            f"{section_title(section_of(row))}, {run_title(row)}: ACC {row['acc']:.3f}",
        )
        for row in rows
        if row["status"] == "done"
    ]
    return scatter(points, title, "tokens read and written", "ACC")
