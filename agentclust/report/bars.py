"""A plot of means with their spread, a line a method, as SVG that needs no library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from agentclust.report.means import Line

WIDTH, LEFT, RIGHT, STEP, TOP = 720, 230, 60, 24, 26
OWN, PUBLISHED = "#4269d0", "#9498a0"


def bars(found: Sequence[Line], title: str, column: str = "acc") -> str:
    """The plot: a bar for each line from 0 to 1, its deviation, and the score of every line.

    Args:
        found: The lines; those without the score are left out.
        title: What the plot shows, for those who do not see it.
        column: The score.
    """
    shown = [(line, line.values[column]) for line in found if column in line.values]
    height = TOP + STEP * len(shown) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="sans-serif" font-size="12" fill="currentColor">',
        f"<title>{escape(title)}</title>",
    ]
    for tenth in range(0, 11, 2):
        place = _across(tenth / 10)
        parts.append(
            f'<path d="M{place:.1f} {TOP - 6}V{height - 6}" stroke="currentColor" opacity="0.15"/>'
        )
        parts.append(
            f'<text x="{place:.1f}" y="{TOP - 11}" text-anchor="middle" opacity="0.7">'
            f"{tenth / 10}</text>"
        )
    for number, (line, score) in enumerate(shown):
        middle = TOP + STEP * number + STEP / 2
        end = _across(min(max(score.mean, 0), 1))
        colour = PUBLISHED if line.published else OWN
        parts.append(
            f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">'
            f"{escape(_cut(line.title))}</text>"
        )
        parts.append(
            f'<rect x="{LEFT}" y="{middle - 7:.1f}" width="{end - LEFT:.1f}" height="14" '
            f'fill="{colour}"><title>{escape(f"{line.title}: {score}")}</title></rect>'
        )
        if score.deviation:
            low, high = (
                _across(min(max(score.mean + side * score.deviation, 0), 1)) for side in (-1, 1)
            )
            parts.append(
                f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#000" stroke-width="2"/>'
            )
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{middle + 4:.1f}">{score.mean:.3f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _across(value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value


def _cut(text: str) -> str:
    return text if len(text) <= 34 else f"{text[:33]}…"
