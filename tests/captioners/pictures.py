"""Pictures drawn for the tests, by other means than the datasets of the package."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

TURN = 2 * math.pi


def polar(*radii: float, turns: int) -> list[tuple[float, float]]:
    n = len(radii) * turns
    return [
        (
            radii[i % len(radii)] * math.cos(TURN * i / n),
            radii[i % len(radii)] * math.sin(TURN * i / n),
        )
        for i in range(n)
    ]


def disc(radius: float = 1.0, x: float = 0.0, y: float = 0.0) -> list[tuple[float, float]]:
    return [(x + a * radius, y + b * radius) for a, b in polar(1.0, turns=90)]


def bar(width: float, height: float) -> list[tuple[float, float]]:
    return [(-width, -height), (width, -height), (width, height), (-width, height)]


def stretched(points: list[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    return [(x * width, y) for x, y in points]


def half_disc() -> list[tuple[float, float]]:
    return [(math.cos(TURN * i / 120), math.sin(TURN * i / 120)) for i in range(61)]


# word -> outlines as (polygon, drawn or cut out), within the unit circle
KNOWN = {
    "circle": [[(disc(), True)]],
    "oval": [[(stretched(disc(), 0.6), True)], [(stretched(disc(), 0.35), True)]],
    "square": [[(polar(1.0, turns=4), True)]],
    "rectangle": [[(bar(0.9, 0.45), True)], [(bar(0.9, 0.25), True)]],
    "triangle": [[(polar(1.0, turns=3), True)], [([(0, -1), (0.5, 0.8), (-0.5, 0.8)], True)]],
    "diamond": [[(stretched(polar(1.0, turns=4), 0.5), True)]],
    "pentagon": [[(polar(1.0, turns=5), True)]],
    "hexagon": [[(polar(1.0, turns=6), True)]],
    "star": [
        [(polar(1.0, 0.4, turns=4), True)],
        [(polar(1.0, 0.5, turns=5), True)],
        [(polar(1.0, 0.55, turns=6), True)],
    ],
    "cross": [
        [(bar(0.2, 0.9), True), (bar(0.9, 0.2), True)],
        [(bar(0.35, 0.9), True), (bar(0.9, 0.35), True)],
    ],
    "ring": [[(disc(), True), (disc(0.4), False)], [(disc(), True), (disc(0.75), False)]],
    "gear": [
        [(polar(1.0, 1.0, 0.7, 0.7, turns=7), True)],
        [(polar(1.0, 1.0, 0.75, 0.75, turns=9), True), (disc(0.25), False)],
    ],
    "heart": [
        [
            (disc(0.5, -0.42, -0.35), True),
            (disc(0.5, 0.42, -0.35), True),
            ([(-0.86, -0.12), (0.86, -0.12), (0, 0.95)], True),
        ]
    ],
    "crescent": [
        [(disc(), True), (disc(0.9, 0.4), False)],
        [(disc(), True), (disc(0.7, 0.55), False)],
    ],
}
NAMELESS = {
    "L": [([(-0.8, -0.8), (-0.3, -0.8), (-0.3, 0.3), (0.8, 0.3), (0.8, 0.8), (-0.8, 0.8)], True)],
    "half disc": [(half_disc(), True)],
    "bite": [(disc(), True), ([(0, 0), (1.5, 1.0), (1.5, -1.0)], False)],
    "bow": [([(-1, -0.6), (-0.5, 0), (-1, 0.6), (1, 0.6), (0.5, 0), (1, -0.6)], True)],
    "uneven spokes": [(polar(1.0, 0.35, 0.6, 0.35, turns=3), True)],
    "frame": [(polar(1.0, turns=4), True), (polar(0.7, turns=4), False)],
    "thing": [(bar(0.9, 0.2), True), ([(-0.8, 0), (-0.5, 0), (-0.5, 0.9), (-0.8, 0.9)], True),
              ([(0.3, 0), (0.5, 0), (0.7, -0.9), (0.4, -0.9)], True)],
}  # fmt: skip


def mask(outline, radius: float, turn: float, edge: int | None = None, at=None) -> Image.Image:
    """The outline in white on black, drawn four times too large and scaled down."""
    edge = edge or round(2 * radius + 10)
    x0, y0 = at or (edge / 2, edge / 2)
    cos, sin = math.cos(turn) * radius, math.sin(turn) * radius
    canvas = Image.new("L", (edge * 4, edge * 4))
    pen = ImageDraw.Draw(canvas)
    for points, drawn in outline:
        placed = [((x0 + x * cos - y * sin) * 4, (y0 + x * sin + y * cos) * 4) for x, y in points]
        pen.polygon(placed, fill=255 if drawn else 0)
    return canvas.resize((edge, edge), Image.Resampling.BOX)


def filled(outline, radius: float, turn: float) -> np.ndarray:
    return np.asarray(mask(outline, radius, turn)) > 127


def picture(edge: int, background, things) -> Image.Image:
    """Things as (outline, colour, radius, turn, (x, y)) on one tone."""
    image = Image.new("RGB", (edge, edge), background)
    for outline, colour, radius, turn, at in things:
        image.paste(
            Image.new("RGB", image.size, colour), (0, 0), mask(outline, radius, turn, edge, at)
        )
    return image


def noise(edge: int, seed: int, coarse: int = 8) -> Image.Image:
    """Blotches of all colours, from edge to edge."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (coarse, coarse, 3), dtype=np.uint8))
    return small.resize((edge, edge), Image.Resampling.BICUBIC)
