"""The tables and the plot of a batch: results.csv, results.md, tokens.svg.

It knows nothing of runs: rows in, files out.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from agentclust.journal import cannot_write
from agentclust.report.scatter import Point, scatter

Row = Mapping[str, Any]
COLUMNS = (
    "dataset", "method", "seed", "status", "n", "acc", "nmi", "ari", "ece", "unassigned",
    "n_clusters", "calls", "prompt_tokens", "cached_prompt_tokens", "completion_tokens",
    "seconds", "peak_mb", "error",
)  # fmt: skip
HEADING = (
    "method", "ACC", "NMI", "ARI", "clusters", "unassigned", "calls", "tokens read",
    "of them cached", "written", "seconds", "MB",
)  # fmt: skip


def write_tables(
    out: Path, title: str, rows: Sequence[Row], published: Mapping[str, Sequence[Row]]
) -> None:
    """Write what is known of a batch so far.

    Args:
        out: The folder.
        title: The heading.
        rows: One a run, with the fields of `COLUMNS` as far as they are known.
        published: Rows of published scores by dataset.

    Raises:
        RunError: The folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "results.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        (out / "results.md").write_text(as_markdown(title, rows, published), "utf-8")
        (out / "tokens.svg").write_text(_plot(title, rows), "utf-8")
    except OSError as error:
        raise cannot_write(out, error) from None


def as_markdown(title: str, rows: Sequence[Row], published: Mapping[str, Sequence[Row]]) -> str:
    """A table a dataset: the mean of each method over its seeds, ± their standard deviation."""
    lines = [f"# {title}", ""]
    for dataset in dict.fromkeys([*published, *(str(row["dataset"]) for row in rows)]):
        own = [row for row in rows if row["dataset"] == dataset]
        done = [row for row in own if row["status"] == "done"]
        seeds = len({row["seed"] for row in done})
        n = next((row["n"] for row in done), 0)
        lines += [f"## {dataset}: {n:,} images, {seeds} seed{'s' * (seeds != 1)}", ""]
        lines += [_line(HEADING), _line(["---", *["---:"] * (len(HEADING) - 1)])]
        for method in dict.fromkeys(row["method"] for row in done):
            lines.append(_line(_means([row for row in done if row["method"] == method])))
        for row in published.get(dataset, ()):
            note = f" ({row['note']})" if row.get("note") else ""
            scores = [f"{float(row[name]):.3f}" for name in ("acc", "nmi", "ari")]
            blank = [""] * (len(HEADING) - 4)
            lines.append(_line([f"published: {row['llm']}{note}", *scores, *blank]))
        failed = [
            f"{row['method']} {row['seed']}: {row['error']}" for row in own if row not in done
        ]
        lines += ["", *(f"- failed: {text}" for text in failed), *[""] * bool(failed)]
    return "\n".join(lines)


def _means(rows: Sequence[Row]) -> list[str]:
    scores = [_spread([row[name] for row in rows]) for name in ("acc", "nmi", "ari")]
    counts = ("n_clusters", "unassigned", "calls", "prompt_tokens", "cached_prompt_tokens",
              "completion_tokens", "seconds", "peak_mb")  # fmt: skip
    means = [f"{fmean(row[name] for row in rows):,.0f}" for name in counts]
    return [str(rows[0]["method"]), *scores, *means]


def _spread(values: Sequence[float]) -> str:
    text = f"{fmean(values):.3f}"
    return f"{text} ± {stdev(values):.3f}" if len(values) > 1 else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plot(title: str, rows: Sequence[Row]) -> str:
    done = [row for row in rows if row["status"] == "done"]
    points = [
        Point(
            row["prompt_tokens"] + row["completion_tokens"],
            row["acc"],
            str(row["dataset"]),
            f"{row['dataset']}, {row['method']}, seed {row['seed']}: ACC {row['acc']:.3f}",
        )
        for row in done
    ]
    return scatter(points, title, "tokens read and written", "ACC")
