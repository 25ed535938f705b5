"""Drawing one picture: what is on it comes in as values, nothing is read or written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float64]
Points = list[tuple[float, float]]

EDGE = 256
RADIUS = (19.0, 29.0)  # of the circle around an object, pixels; the same for every count
GAP = 5.0  # between two such circles, and to the edge
SUPERSAMPLING = 4
PERIOD = 10.0  # of a texture, pixels
TONE = 0.24  # how far a texture goes towards white or black

# the names of Clevr-4's ten colours; the sRGB values are ours
COLORS: Mapping[str, tuple[int, int, int]] = {
    "gray": (128, 128, 128),
    "red": (205, 38, 40),
    "blue": (40, 80, 210),
    "green": (40, 145, 55),
    "brown": (125, 75, 35),
    "purple": (130, 50, 175),
    "cyan": (40, 205, 205),
    "yellow": (242, 215, 45),
    "pink": (245, 130, 170),
    "orange": (243, 128, 22),
}


def _wave(phase: Array) -> Array:
    return np.sign(np.sin(2 * np.pi * phase / PERIOD))


def _lines(phase: Array, width: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs((phase / PERIOD) % 1.0 - 0.5) > 0.5 - width / 2)


def _dots(u: Array, v: Array) -> Array:
    du, dv = (u / PERIOD) % 1 - 0.5, (v / PERIOD) % 1 - 0.5
    return np.where(du**2 + dv**2 < 0.1, 1.0, -0.45)


def _bricks(u: Array, v: Array) -> Array:
    row = np.floor(v / PERIOD)
    joint = _lines(v, 0.25) | _lines(u / 2 + row % 2 * PERIOD / 2, 0.14)
    return np.where(joint, 1.0, -0.5)


def _grid(u: Array, v: Array) -> Array:
    return np.where(_lines(u, 0.22) | _lines(v, 0.22), -1.0, 0.6)


def _glossy(u: Array, v: Array) -> Array:
    spot = np.exp(-((u + 6) ** 2 + (v + 6) ** 2) / 60)
    return 1.6 * spot - 0.25


# tone in -1 (dark) .. 1 (light) at pixel (u, v) from the object's centre; about 0 on average
TEXTURES: Mapping[str, Callable[[Array, Array], Array]] = {
    "plain": lambda u, v: np.zeros_like(u),
    "glossy": _glossy,
    "stripes": lambda u, v: _wave(u),
    "dots": _dots,
    "checks": lambda u, v: _wave(u) * _wave(v),
    "waves": lambda u, v: _wave(v + 3 * np.sin(2 * np.pi * u / 16)),
    "bricks": _bricks,
    "circles": lambda u, v: _wave(np.hypot(u, v)),
    "zigzag": lambda u, v: _wave(v + np.abs((u % 12) - 6)),
    "grid": _grid,
}


def _circle(radius: float = 1.0, x: float = 0.0) -> Points:
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    return [(x + radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _spokes(*radii: float, turns: int) -> Points:
    """Points around the origin, the radii repeated `turns` times."""
    n = len(radii) * turns
    angles = (2 * math.pi * i / n for i in range(n))
    return [(radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a))
            for i, a in enumerate(angles)]  # fmt: skip


def _cross(half: float = 0.32) -> Points:
    quarter = [(half, half), (half, 1.0), (-half, 1.0)]
    points: Points = []
    for _ in range(4):
        points += quarter
        quarter = [(-y, x) for x, y in quarter]
    return [(x * 0.95, y * 0.95) for x, y in points]


def _heart() -> Points:
    """The curve x = 16 sin³t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, within radius 1."""
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    x = 16 * np.sin(angles) ** 3
    y = 13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles)
    return [(a / 17.5, -(b + 2.5) / 17.5) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


# outline and hole within the unit circle, y downwards
SHAPES: Mapping[str, tuple[Points, Points]] = {
    "circle": (_circle(), []),
    "square": (_spokes(1.0, turns=4), []),
    "triangle": (_spokes(1.0, turns=3), []),
    "star": (_spokes(1.0, 0.42, turns=5), []),
    "diamond": ([(0, 1), (0.58, 0), (0, -1), (-0.58, 0)], []),
    "ring": (_circle(), _circle(0.52)),
    "gear": (_spokes(1.0, 1.0, 0.74, 0.74, turns=8), []),
    "cross": (_cross(), []),
    "heart": (_heart(), []),
    "crescent": (_circle(), _circle(0.82, x=0.5)),
}


def draw(shape: str, color: str, texture: str, count: int, rng: np.random.Generator) -> Image.Image:
    """`count` separate objects, alike but for size, place and turn, on a plain light background.

    Returns:
        An RGB image of `EDGE` x `EDGE` pixels.
    """
    picture = _background(rng)
    tint = np.clip(np.array(COLORS[color]) + rng.integers(-6, 7, 3), 0, 255)
    for x, y, radius in _places(count, rng):
        turn = rng.uniform(0, 2 * np.pi)
        mask = _mask(shape, x % 1, y % 1, radius, turn)
        left, top = (int(x) - mask.width // 2, int(y) - mask.height // 2)
        surface = _surface(texture, tint, mask.width, rng.uniform(0, 2 * np.pi))
        picture.paste(surface, (left, top), mask)
    grain = rng.standard_normal((EDGE, EDGE, 3), dtype=np.float32) * 1.5
    pixels = np.clip(np.asarray(picture) + grain + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _background(rng: np.random.Generator) -> Image.Image:
    """A light tone that changes slightly from one side to the other."""
    y, x = np.mgrid[0:EDGE, 0:EDGE] / EDGE - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    shade = (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(4, 14)
    tone = rng.uniform(230, 244) + rng.uniform(-3, 3, 3)
    return Image.fromarray(np.clip(tone + shade[..., None], 0, 255).astype(np.uint8))


def _places(count: int, rng: np.random.Generator) -> Array:
    """Centres and radii of circles that keep apart, shape (count, 3)."""
    while True:
        placed: list[Array] = []
        for _ in range(2000):
            radius = rng.uniform(*RADIUS)
            margin = radius + GAP
            new = np.array([*rng.uniform(margin, EDGE - margin, 2), radius])
            if all(np.hypot(*(new - old)[:2]) > radius + old[2] + GAP for old in placed):
                placed.append(new)
            if len(placed) == count:
                return np.array(placed)


def _mask(shape: str, dx: float, dy: float, radius: float, turn: float) -> Image.Image:
    """How much of each pixel the object covers, the object's centre in the middle pixel."""
    edge = 2 * math.ceil(radius + 2) + 1
    canvas = Image.new("L", (edge * SUPERSAMPLING,) * 2)
    pen = ImageDraw.Draw(canvas)
    cos, sin = math.cos(turn) * radius, math.sin(turn) * radius
    for points, ink in zip(SHAPES[shape], (255, 0), strict=True):
        placed = [
            (
                (edge // 2 + dx + x * cos - y * sin) * SUPERSAMPLING,
                (edge // 2 + dy + x * sin + y * cos) * SUPERSAMPLING,
            )
            for x, y in points
        ]
        if placed:
            pen.polygon(placed, fill=ink)
    return canvas.resize((edge, edge), Image.Resampling.BOX)


def _surface(texture: str, tint: NDArray[np.int64], edge: int, turn: float) -> Image.Image:
    """The object's colour in the tones of its texture."""
    steps = (np.arange(edge * 2) - edge + 0.5) / 2
    x, y = np.meshgrid(steps, steps)
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    tone = (TEXTURES[texture](u, v) * TONE)[..., None]
    pixels = np.where(tone > 0, tint + (255 - tint) * tone, tint * (1 + tone))
    return Image.fromarray(pixels.astype(np.uint8)).resize((edge, edge), Image.Resampling.BOX)
