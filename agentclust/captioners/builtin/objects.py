"""Telling objects from a plain background: where they are, how many, and whether that is sure.

It claims nothing on a picture whose frame is not mostly one smooth tone. It names no shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import regionprops
from skimage.segmentation import watershed

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST = 50  # more pieces than this are a pattern, not objects
SMALLEST = 0.0005  # of the picture's area; less is a speck
PLAIN = 6.0  # CIELAB distance within which nine tenths of a background lie
CONTRAST = 8.0  # least CIELAB distance from the background that counts as seen


@dataclass(frozen=True)
class Piece:
    """Pixels that belong together: a box of the picture, and a mask of the box's shape."""

    box: tuple[slice, slice]
    mask: Mask

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.mask.sum())


@dataclass(frozen=True)
class Scene:
    """What stands before a plain background.

    Attributes:
        background: Median CIELAB colour of the background, shape (3,).
        size: Height and width of the picture looked at.
        objects: Each object, largest first.
        lines: Whether there are only thin lines, so that nothing can be counted.
    """

    background: Array
    size: tuple[int, int]
    objects: tuple[Piece, ...] = ()
    lines: bool = False


def find_objects(lab: Array) -> Scene | None:
    """The objects in a CIELAB picture of shape (h, w, 3); None where they cannot be told apart."""
    distance = _distance_from_background(lab)
    if distance is None:
        return None
    # halfway between background and objects, but low enough for objects of weak contrast
    limit = float(np.clip(threshold_otsu(distance), CONTRAST, 2 * CONTRAST))
    seen = distance > limit
    if not _framed_by_background(seen) or np.quantile(distance[~seen], 0.9) > PLAIN:
        return None
    background, size = np.median(lab[~seen], axis=0), seen.shape
    pieces = _pieces(seen)
    if not pieces:
        return Scene(background, size) if seen.mean() < SMALLEST else None
    thin = sum(piece.area for piece in pieces if _is_line(piece))
    if thin > 0.5 * sum(piece.area for piece in pieces):
        return Scene(background, size, lines=True)
    if len(pieces) > MOST or not _sharply_bounded(distance, pieces):
        return None
    return Scene(background, size, tuple(part for piece in pieces for part in _parts(piece)))


def _distance_from_background(lab: Array) -> Array | None:
    """CIELAB distance from a smooth background fitted to the frame; None if nothing smooth fits.

    The background may shade off: L, a and b are each a plane over the picture, fitted again and
    again to those pixels of the frame that lie near it.
    """
    height, width = lab.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    plane = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], axis=-1).astype(float)
    band = max(2, round(0.03 * max(height, width)))
    frame = np.ones((height, width), dtype=bool)
    frame[band:-band, band:-band] = False
    colours, places = lab[frame], plane[frame]
    distances = np.linalg.norm(colours - np.median(colours, axis=0), axis=1)
    for reach in (20.0, 10.0, CONTRAST):
        near = distances < reach
        if near.mean() < 0.5:
            return None
        fit, *_ = np.linalg.lstsq(places[near], colours[near], rcond=None)
        distances = np.linalg.norm(colours - places @ fit, axis=1)
    if (distances < CONTRAST).mean() < 0.6 or np.abs(fit[1:, 0]).max() > 30:
        return None
    return np.asarray(np.linalg.norm(lab - plane @ fit, axis=2))


def _framed_by_background(seen: Mask) -> bool:
    """Whether the background goes round: no side is covered, three corners at least are free."""
    sides = (seen[0], seen[-1], seen[:, 0], seen[:, -1])
    size = max(2, round(0.05 * max(seen.shape)))
    corners = [seen[a, b] for a in (slice(size), slice(-size, None))
               for b in (slice(size), slice(-size, None))]  # fmt: skip
    covered = sum(corner.mean() > 0.5 for corner in corners)
    free = max(side.mean() for side in sides) < 0.75 and covered <= 1
    return bool(free and seen.mean() < 0.85)


def _pieces(seen: Mask) -> list[Piece]:
    """Connected pieces without specks and pinholes, largest first."""
    labels, n_pieces = ndimage.label(seen, np.ones((3, 3)))
    if not n_pieces:
        return []
    areas = np.bincount(labels.ravel())[1:]
    least = max(SMALLEST * seen.size, 0.04 * areas.max())
    boxes = ndimage.find_objects(labels)
    order = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= least]
    return [Piece(boxes[i], _without_pinholes(labels[boxes[i]] == i + 1)) for i in order]


def _without_pinholes(mask: Mask) -> Mask:
    holes, n_holes = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if not n_holes:
        return mask
    small = np.bincount(holes.ravel()) < 0.005 * mask.sum()
    small[0] = False
    return np.asarray(mask | small[holes])


def _is_line(piece: Piece) -> bool:
    """Whether a piece is thin everywhere, as strokes of a pen are."""
    return bool(2 * _depth(piece.mask).max() < 0.07 * np.hypot(*piece.mask.shape))


def _depth(mask: Mask) -> Array:
    """Distance of each pixel to the outside."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1])


def _sharply_bounded(distance: Array, pieces: list[Piece]) -> bool:
    """Whether colours jump where objects end, and do not fade as a sky or a shadow does."""
    seen = np.zeros(distance.shape, dtype=bool)
    for piece in pieces:
        seen[piece.box] |= piece.mask
    inside = seen & ~ndimage.binary_erosion(seen, iterations=4, border_value=1)
    outside = ndimage.binary_dilation(seen, iterations=4) & ~ndimage.binary_dilation(seen)
    if not inside.any() or not outside.any():
        return False
    return bool(np.median(distance[inside]) - np.median(distance[outside]) > CONTRAST)


def _parts(piece: Piece) -> list[Piece]:
    """The piece, or its parts where compact objects only touch (watershed on the depth).

    Two places are different objects if the neck between them is less than two thirds as deep as
    either, and only if every part is as good as convex: a star or a cross is no bunch of objects.
    """
    depth = _depth(piece.mask)
    cores, n_cores = np.zeros(depth.shape, dtype=int), 1
    for level in (0.25, 0.35, 0.45, 0.55, 0.65):
        labels, n_labels = ndimage.label(depth > level * depth.max())
        peaks = ndimage.maximum(depth, labels, np.arange(1, n_labels + 1))
        deep = np.flatnonzero(peaks > 1.5 * level * depth.max()) + 1
        if len(deep) > n_cores:
            cores, n_cores = np.where(np.isin(labels, deep), labels, 0), len(deep)
    if n_cores < 2:
        return [piece]
    parts = regionprops(watershed(-depth, cores, mask=piece.mask))
    if min(part.solidity for part in parts) < 0.88:
        return [piece]
    return [_part(piece, part.slice, part.image) for part in parts]


def _part(piece: Piece, inner: tuple[slice, slice], mask: Mask) -> Piece:
    rows, columns = (
        slice(outer.start + part.start, outer.start + part.stop)
        for outer, part in zip(piece.box, inner, strict=True)
    )
    return Piece((rows, columns), mask)
