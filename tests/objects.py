"""Pictures of two objects on a light ground: one that tells the group, and a grey square in all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from agentclust.datasets.clevr4_mini.drawing import COLORS, EDGE, SHAPES

KINDS = (("star", "yellow"), ("ring", "red"), ("cross", "blue"), ("heart", "green"))
RADIUS = (30, 44)  # pixels of EDGE
MARGIN = 60  # of the middle of an object to the edge
APART = 95  # two middles

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture


def place(pen: ImageDraw.ImageDraw, shape: str, colour: str, middle, radius, turn) -> Box:
    """Draw a shape and return the box around it."""
    ground = pen.im.getpixel((0, 0))
    cos, sin = np.cos(turn) * radius, np.sin(turn) * radius
    turned = np.array([[cos, sin], [-sin, cos]])
    for points, ink in zip(SHAPES[shape], (COLORS[colour], ground), strict=True):
        if points:
            placed = np.array(points) @ turned + middle
            pen.polygon([tuple(point) for point in placed], fill=ink)
            if ink != ground:
                around = (*placed.min(axis=0), *placed.max(axis=0))
    return tuple(float(edge) / EDGE for edge in around)


def picture(kind: int, random: np.random.Generator) -> tuple[Image.Image, Box]:
    """A picture of one of the KINDS and of a grey square, and the box around the former."""
    image = Image.new("RGB", (EDGE, EDGE), tuple(random.integers(228, 248, 3).tolist()))
    pen = ImageDraw.Draw(image)
    while True:
        own, other = random.uniform(MARGIN, EDGE - MARGIN, (2, 2))
        if np.hypot(*(own - other)) > APART:
            break
    place(pen, "square", "gray", other, random.uniform(*RADIUS), random.uniform(0, 6))
    return image, place(pen, *KINDS[kind], own, random.uniform(*RADIUS), random.uniform(0, 6))


def pictures(folder: Path, count: int, seed: int = 0) -> dict[str, Box]:
    """A folder of such pictures, of each kind in turn, and the box around what tells the group."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    boxes = {}
    for number in range(count):
        image, box = picture(number % len(KINDS), random)
        image.save(folder / f"p{number:03}.png")
        boxes[f"p{number:03}.png"] = box
    return boxes


def part(box: Box, seen: Box, size: int) -> np.ndarray:
    """Where the box lies in what a network saw, as a mask of `size` by `size`."""
    left, top, right, bottom = seen
    steps = (np.arange(size) + 0.5) / size
    x, y = left + steps * (right - left), top + steps * (bottom - top)
    across, down = (box[0] <= x) & (x <= box[2]), (box[1] <= y) & (y <= box[3])
    return down[:, None] & across


def pointing(heat: np.ndarray, seen: Box, box: Box, size: int = 224) -> tuple[bool, float, float]:
    """Whether the hottest point lies in the box, the share of the heat, and that of the area."""
    fine = Image.fromarray(heat).resize((size, size), Image.Resampling.BILINEAR)
    warm, mask = np.asarray(fine).clip(0), part(box, seen, size)
    return bool(mask.flat[warm.argmax()]), float(warm[mask].sum() / warm.sum()), float(mask.mean())


def masked(file: Path, places: list[tuple[int, int]], grid: tuple[int, int], seen: Box, to: Path):
    """A copy of a picture with these places (row, column) of the grid in the ground's colour."""
    image = Image.open(file)
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = seen
    high, wide = (bottom - top) / grid[0], (right - left) / grid[1]
    for row, column in places:
        corner = (left + column * wide, top + row * high)
        ends = (*corner, corner[0] + wide, corner[1] + high)
        pen.rectangle([round(end * EDGE) for end in ends], fill=image.getpixel((0, 0)))
    image.save(to)
    return to
