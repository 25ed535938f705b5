"""The table of a batch as Markdown and as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentclust.report.means import Line, Row, Section, lines, section_of, sections

SCORES = {"acc": "ACC", "nmi": "NMI", "ari": "ARI", "purity": "purity"}
COUNTS = {
    "n_clusters": "clusters",
    "unassigned": "unassigned",
    "calls": "calls",
    "prompt_tokens": "tokens read",
    "cached_prompt_tokens": "of them cached",
    "completion_tokens": "written",
    "seconds": "seconds",
    "peak_mb": "MB",
}
LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {char: rf"\{char}" for char in "&%$#_{}"}
)


def as_markdown(title: str, rows: Sequence[Row], published: Mapping[Section, Sequence[Row]]) -> str:
    """A table a section: the mean of each method over its seeds, ± their standard deviation."""
    heading = ("method", *SCORES.values(), *COUNTS.values())
    every = lines(rows, published)
    text = [f"# {title}", ""]
    for section in sections(rows, published):
        own = [row for row in rows if section_of(row) == section]
        text += [f"## {section_title(section)}: {_counted(own)}", ""]
        text += [_line(heading), _line(["---", *["---:"] * (len(heading) - 1)])]
        text += [_line(_cells(line)) for line in every if line.section == section]
        failed = [f"- failed: {run_title(row)}: {row['error']}" for row in own
                  if row["status"] != "done"]  # fmt: skip
        text += ["", *failed, *[""] * bool(failed)]
    return "\n".join(text)


def as_latex(title: str, rows: Sequence[Row], published: Mapping[Section, Sequence[Row]]) -> str:
    """One table of the scores for a paper; it needs the package booktabs."""
    every = lines(rows, published)
    text = [
        f"% {' '.join(title.split())}",
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r"Method & ACC & NMI & ARI & $K$ \\",
    ]
    for section in sections(rows, published):
        text += [
            r"\midrule",
            rf"\multicolumn{{5}}{{l}}{{{escaped(section_title(section))}}} \\",
        ]
        for line in every:
            if line.section == section:
                scores = [_latex(line, name) for name in ("acc", "nmi", "ari")]
                clusters = line.values.get("n_clusters")
                k = f"{clusters.mean:.0f}" if clusters else ""
                text.append(" & ".join([escaped(line.title), *scores, k]) + r" \\")
    return "\n".join([*text, r"\bottomrule", r"\end{tabular}", ""])


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return text.translate(LATEX)


def section_title(section: Section) -> str:
    """A section's heading."""
    return ", ".join(part for part in section if part)


def run_title(row: Row) -> str:
    """One run within its section."""
    return " ".join(
        str(row[name]) for name in ("method", "model", "seed") if row.get(name, "") != ""
    )


def _counted(rows: Sequence[Row]) -> str:
    done = [row for row in rows if row["status"] == "done"]
    seeds = len({row["seed"] for row in done})
    n = next((row["n"] for row in done), 0)
    return f"{n:,} images, {seeds} seed{'s' * (seeds != 1)}"


def _cells(line: Line) -> list[str]:
    scores = [str(line.values.get(name, "")) for name in SCORES]
    counts = [f"{found.mean:,.0f}" if (found := line.values.get(name)) else "" for name in COUNTS]
    return [line.title, *scores, *counts]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _latex(line: Line, name: str) -> str:
    found = line.values.get(name)
    if found is None:
        return ""
    deviation = "" if found.deviation is None else rf" \pm {found.deviation:.3f}"
    return f"${found.mean:.3f}{deviation}$"
