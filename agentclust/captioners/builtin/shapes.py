"""Naming the outline of one object: a word a person would use, or none.

Outlines without a dent are told apart after an affine map that gives them equal second moments in
all directions, so that any ellipse becomes a circle, any parallelogram a square and any triangle an
equilateral one (the idea of Rosin, Measuring shape: ellipticity, rectangularity, and triangularity,
2003); the circularity 4 pi A / P^2 of a circle is 1, that of regular polygons 0.907 (6 corners),
0.865 (5), 0.785 (4) and 0.605 (3). Outlines with dents are told apart by the dents: what lies
between the outline and its convex hull.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, label, zoom
from scipy.spatial import ConvexHull
from skimage.measure import find_contours

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMALLEST = 120  # pixels; smaller objects have too few for a word
LOOKED_AT = 64  # larger side an object is scaled to before its outline is taken, pixels


@dataclass(frozen=True)
class Dent:
    """A pocket between an outline and its convex hull; lengths in units of sqrt(area)."""

    area: float  # relative to the outline's area
    depth: float
    opening: float
    outline: Array  # the part of the outline inside it, shape (n, 2)
    around: Array  # the rest of the outline


def shape_word(mask: Mask) -> str | None:
    """The shape of the one object in `mask`, as in "star-shaped"; None without a fitting word."""
    if mask.sum() < SMALLEST:
        return None
    filled = binary_fill_holes(mask)
    outline = _outline(filled)
    if len(outline) < 16:
        return None
    word = _outline_word(outline)
    holes, n_holes = label(filled & ~mask)
    hole = np.bincount(holes.ravel())[1:].max(initial=0) / filled.sum()
    if word == "circle" and hole > 0.04:
        return "ring" if n_holes == 1 else None
    return word if hole < 0.25 else None


def _outline(filled: Mask) -> Array:
    """Points of the outline in steps of equal length, closed, shape (256, 2)."""
    scale = LOOKED_AT / max(filled.shape)
    smooth = zoom(np.pad(filled, 3).astype(float), max(scale, 1.0), order=1)
    smooth = gaussian_filter(smooth, 0.7 * max(scale, 1.0))
    contours = find_contours(smooth, 0.5)
    if not contours:
        return np.empty((0, 2))
    contour = max(contours, key=len)
    steps = np.hypot(*np.diff(contour, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, along[-1], 256, endpoint=False)
    points = np.stack([np.interp(at, along, contour[:, i]) for i in (0, 1)], axis=1)
    return points if _area(points) > 0 else points[::-1]


def _area(points: Array) -> float:
    """Signed area of a closed polygon (the shoelace formula)."""
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def _circularity(points: Array) -> float:
    perimeter = np.hypot(*(np.roll(points, -1, axis=0) - points).T).sum()
    return float(4 * np.pi * abs(_area(points)) / perimeter**2)


def _outline_word(outline: Array) -> str | None:
    dents = _dents(outline)
    deep = [dent for dent in dents if dent.depth > 0.09]
    solidity = 1 / (1 + sum(dent.area for dent in dents))
    if not deep:
        return _convex_word(outline) if solidity > 0.93 else None
    if len(deep) == 1:
        return _one_dent_word(outline, deep[0], solidity)
    return _spoked_word(outline, len(deep)) if len(deep) >= 4 else None


def _dents(outline: Array) -> list[Dent]:
    corners = np.sort(ConvexHull(outline).vertices)
    n, area = len(outline), _area(outline)
    dents = []
    for start, stop in zip(corners, np.roll(corners, -1), strict=True):
        length = (stop - start) % n + 1
        if length < 4:
            continue
        ahead = np.roll(outline, -start, axis=0)
        part = ahead[:length]
        chord = part[-1] - part[0]
        opening = max(float(np.hypot(*chord)), 1e-9)
        across = part - part[0]
        depth = np.abs(chord[0] * across[:, 1] - chord[1] * across[:, 0]).max() / opening
        size = area**0.5
        relative = abs(_area(part)) / area
        dents.append(Dent(relative, depth / size, opening / size, part, ahead[length:]))
    return dents


def _convex_word(outline: Array) -> str | None:
    hull = outline[ConvexHull(outline).vertices]
    rounded, elongation = _isotropic(hull)
    roundness = _circularity(rounded)
    if roundness > 0.965:
        return "circle" if elongation < 1.18 else "oval"
    # the largest inscribed polygons cover less of small outlines, whose corners are blunt
    if _best_polygon(hull, 3)[0] > 0.76:
        return "triangle" if roundness < 0.77 else None
    cover, corners = _best_polygon(hull, 4)
    if cover > 0.8:
        return _four_sided_word(hull, corners) if roundness < 0.92 else None
    for n_corners, word, enough in [(5, "pentagon", 0.88), (6, "hexagon", 0.9)]:
        cover, corners = _best_polygon(hull, n_corners)
        if cover > enough:
            return word if _even_sides(corners) else None
    if roundness > 0.925:
        return "nearly circle" if elongation < 1.18 else "nearly oval"
    return None


def _even_sides(corners: Array) -> bool:
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    return bool(sides.max() < 1.4 * sides.min())


def _moments(outline: Array) -> tuple[Array, Array]:
    """Centre (2,) and second moments (2, 2) of the enclosed area, from its triangle fan."""
    centred = outline - outline.mean(axis=0)
    after = np.roll(centred, -1, axis=0)
    weights = (centred[:, 0] * after[:, 1] - after[:, 0] * centred[:, 1]) / 2
    weights /= weights.sum()
    middle = ((centred + after) / 3 * weights[:, None]).sum(axis=0)
    # a triangle's second moments are the mean over the middles of its sides
    points = np.stack([centred / 2, after / 2, (centred + after) / 2], axis=1) - middle
    return middle + outline.mean(axis=0), np.einsum("n,nki,nkj->ij", weights / 3, points, points)


def _isotropic(outline: Array) -> tuple[Array, float]:
    """The outline with equal second moments, and how elongated it was (1 for a circle)."""
    centre, moments = _moments(outline)
    values, vectors = np.linalg.eigh(moments)
    values = np.maximum(values, 1e-12)
    return (outline - centre) @ vectors / np.sqrt(values), float(np.sqrt(values[1] / values[0]))


def _best_polygon(hull: Array, n_corners: int) -> tuple[float, Array]:
    """The largest inscribed polygon: its part of the hull's area, its corners (n_corners, 2)."""
    area = _area(hull)
    while len(hull) > 16:  # drop what costs the least area (Visvalingam & Whyatt, 1993)
        before, after = np.roll(hull, 1, axis=0) - hull, np.roll(hull, -1, axis=0) - hull
        cost = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        hull = np.delete(hull, cost.argmin(), axis=0)
    if len(hull) < n_corners:
        return 0.0, hull
    polygons = hull[np.array(list(combinations(range(len(hull)), n_corners)))]
    x, y = polygons[..., 0], polygons[..., 1]
    areas = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) / 2
    best = areas.argmax()
    return float(areas[best] / area), polygons[best]


def _four_sided_word(hull: Array, corners: Array) -> str | None:
    sides = np.roll(hull, -1, axis=0) - hull
    directions = sides / np.hypot(*sides.T)[:, None]
    normals = directions[:, ::-1] * [1, -1]
    lengths, widths = np.ptp(hull @ directions.T, axis=0), np.ptp(hull @ normals.T, axis=0)
    best = np.argmin(lengths * widths)  # the smallest rectangle around lies on a side of the hull
    if _area(hull) > 0.87 * lengths[best] * widths[best]:
        long, short = max(lengths[best], widths[best]), min(lengths[best], widths[best])
        return "square" if long < 1.2 * short else "rectangle"
    return "diamond" if _even_sides(corners) else None


def _one_dent_word(outline: Array, dent: Dent, solidity: float) -> str | None:
    if not _mirrored(outline, dent):
        return None
    if dent.opening > 0.75 and solidity < 0.85:
        return "crescent" if _off_circle(dent.around) < 0.06 > _off_circle(dent.outline) else None
    along = dent.outline[[0, -1]].mean(axis=0) - dent.around.mean(axis=0)
    along /= np.hypot(*along)
    heights = outline @ along
    low = heights < heights.min() + 0.2 * np.ptp(heights)
    high = heights > heights.max() - 0.3 * np.ptp(heights)
    across = outline @ (along[::-1] * [1, -1])
    pointed = np.ptp(across[low]) < 0.65 * np.ptp(across[high])
    return "heart" if pointed and 0.85 < solidity < 0.98 and dent.opening < 1.0 else None


def _off_circle(points: Array) -> float:
    """How far points lie off their best circle, relative to its radius (Kasa's fit)."""
    equations = np.column_stack([points, np.ones(len(points))])
    (a, b, c), *_ = np.linalg.lstsq(equations, (points**2).sum(axis=1), rcond=None)
    radius = np.sqrt(max(c + (a**2 + b**2) / 4, 1e-12))
    off = np.hypot(points[:, 0] - a / 2, points[:, 1] - b / 2) - radius
    return float(np.sqrt(np.mean(off**2)) / radius)


def _mirrored(outline: Array, dent: Dent) -> bool:
    """Whether the outline is its own mirror image on a line through the dent."""
    ends = dent.outline[[0, -1]]
    across = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    deepest = dent.outline[np.abs((dent.outline - ends[0]) @ (across[::-1] * [1, -1])).argmax()]
    centre, _ = _moments(outline)
    along = (deepest - centre) / max(np.hypot(*(deepest - centre)), 1e-9)
    # horns give the line best, a notch gives it better than the round lobes beside it
    return any(
        _off_mirror(outline, point, side) < 0.045
        for point, side in [(ends.mean(axis=0), across), (deepest, along[::-1] * [1, -1])]
    )


def _off_mirror(outline: Array, point: Array, side: Array) -> float:
    """Mean gap between an outline and its mirror image, in units of sqrt(area)."""
    mirrored = outline - 2 * np.outer((outline - point) @ side, side)
    gaps = np.hypot(*(outline[:, None] - mirrored[None]).transpose(2, 0, 1)).min(axis=1)
    return float(gaps.mean() / _area(outline) ** 0.5)


def _spoked_word(outline: Array, spokes: int) -> str | None:
    """Star, cross or gear: by how much of the way round is near the tips."""
    centre, _ = _moments(outline)
    radii = np.hypot(*(outline - centre).T)
    angles = np.arctan2(*(outline - centre).T)
    order = np.argsort(angles)
    turn = np.linspace(-np.pi, np.pi, 360)
    even = np.interp(turn, angles[order], radii[order], period=2 * np.pi)
    turned = np.interp(turn + 2 * np.pi / spokes, turn, even, period=2 * np.pi)
    if np.abs(turned - even).mean() > 0.07 * even.mean():
        return None  # not the same after a turn by one spoke
    blunt = float(np.mean(even > even.min() + 0.6 * np.ptp(even)))
    if spokes == 4:
        return "cross" if blunt > 0.28 else "star"
    if blunt < 0.375:
        return "star"
    return "gear" if spokes >= 6 else None
