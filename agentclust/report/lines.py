"""A plot of lines over a linear axis, as SVG that needs no library and no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from agentclust.report.scatter import COLOURS

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 300, 56, 16, 44, 36
TICKS = 5  # about as many on an axis


@dataclass(frozen=True, slots=True)
class Plot:
    """What a plot shows.

    Attributes:
        title: What it is, for those who do not see it.
        x: What the axis below counts.
        lines: Points (x, y) by the name of their line, ascending in x.
        mark: A place on the axis below that is pointed out, with its words; None for none.
        told: A sentence that stands above it.
    """

    title: str
    x: str
    lines: dict[str, Sequence[tuple[float, float]]]
    mark: tuple[float, str] | None = None
    told: str = ""


def lines(plot: Plot) -> str:
    """The plot as an ``svg`` element; a line of one point is a dot."""
    points = [point for line in plot.lines.values() for point in line]
    across = _axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12" fill="currentColor">',
        f"<title>{escape(plot.title)}</title>",
        *_grid(across, up),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle" '
        f'opacity="0.8">{escape(plot.x)}</text>',
    ]
    if plot.mark:
        place = across.at(plot.mark[0])
        anchor = "end" if place > WIDTH / 2 else "start"
        parts.append(
            f'<path d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="currentColor" '
            'stroke-dasharray="4 4" opacity="0.6"/>'
        )
        parts.append(
            f'<text x="{place + (6 if anchor == "start" else -6):.1f}" y="{HEIGHT - BOTTOM - 6}" '
            f'text-anchor="{anchor}">{escape(plot.mark[1])}</text>'
        )
    for number, (name, line) in enumerate(plot.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        left = LEFT + 130 * number
        parts.append(f'<circle cx="{left}" cy="14" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + 8}" y="18">{escape(name)}</text>')
        path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across.at(x):.1f}" cy="{up.at(y):.1f}" r="3" fill="{colour}">'
            f"<title>{escape(f'{name} {y:.3f}, {x:g}')}</title></circle>"
            for x, y in line
        ]
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Axis:
    """A range of values on a range of pixels, with ticks at round numbers."""

    low: float
    high: float
    step: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> Iterator[float]:
        first = math.ceil(self.low / self.step - 1e-9)
        for count in range(first, math.floor(self.high / self.step + 1e-9) + 1):
            yield count * self.step


def _axis(values: Sequence[float], begin: float, end: float) -> _Axis:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    margin = 0.04 * (high - low)
    return _Axis(low - margin, high + margin, step, begin, end)


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for value in up.ticks():
        level = up.at(value)
        yield (
            f'<path d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}" stroke="currentColor" opacity="0.15"/>'
        )
        yield (
            f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end" opacity="0.8">'
            f"{value:.4g}</text>"
        )
    for value in across.ticks():
        yield (
            f'<text x="{across.at(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" '
            f'opacity="0.8">{value:,.6g}</text>'
        )
