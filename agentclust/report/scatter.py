"""A scatter plot with a logarithmic x axis, as SVG that needs no library and no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 420, 60, 60, 40
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#9c6b4e", "#97bbf5", "#9498a0")


@dataclass(frozen=True, slots=True)
class Point:
    """A point; x 0 stands at the left edge. Points of a group share a colour."""

    x: float
    y: float
    group: str
    text: str


def scatter(points: Sequence[Point], title: str, x: str, y: str) -> str:
    """The plot.

    Args:
        points: What to show; y in 0..1.
        title: Heading.
        x: What the logarithmic axis counts.
        y: What the other axis shows.
    """
    most = max((point.x for point in points), default=0)
    powers = max(1, math.ceil(math.log10(most + 1)))

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * math.log10(value + 1) / powers

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x)}</text>',
        f'<text x="14" y="{TOP - 8}">{escape(y)}</text>',
    ]
    for tenth in range(0, 11, 2):
        level = up(tenth / 10)
        parts.append(f'<path d="M{LEFT} {level:.1f}H{WIDTH - 20}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{tenth / 10}</text>'
        )
    for power in range(powers + 1):
        place = across(10**power if power else 0)
        label = f"{10**power:,}" if power else "0"
        parts.append(
            f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>'
        )
    groups = list(dict.fromkeys(point.group for point in points))
    for number, group in enumerate(groups):
        colour = COLOURS[number % len(COLOURS)]
        place = LEFT + 150 * (number % 4)
        parts.append(f'<circle cx="{place}" cy="{TOP - 8}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{place + 8}" y="{TOP - 4}">{escape(group)}</text>')
        parts += [
            f'<circle cx="{across(p.x):.1f}" cy="{up(p.y):.1f}" r="5" fill="{colour}" '
            f'fill-opacity="0.7"><title>{escape(p.text)}</title></circle>'
            for p in points
            if p.group == group
        ]
    return "\n".join([*parts, "</svg>", ""])
