"""Small pictures as text, for a page that needs no other file, and many of them on one sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

from agentclust.errors import ImageProblem
from agentclust.files.blocks import side_by_side
from agentclust.files.images import data_url, read_image

EDGE = 160  # pixels; about 5 kB as JPEG
QUALITY = 75
TILE = 56  # pixels of a picture on a sheet; about 2 kB
THREADS = 2  # Pillow decodes outside of Python's lock; more would hold more large images at once


def thumbnails(files: Iterable[str]) -> dict[str, str]:
    """A ``data:`` URL for each file, empty for a file that cannot be read (any more)."""
    wanted = sorted({file for file in files if file})
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(wanted, pool.map(_thumbnail, wanted), strict=True))


def _thumbnail(file: str) -> str:
    try:
        return data_url(Path(file), EDGE, QUALITY)
    except ImageProblem:
        return ""


def sheet(files: Sequence[str]) -> bytes:
    """One JPEG with a square tile for each file, row by row in a square: `columns` in each row.

    The tile of a file that cannot be read is blank.
    """
    across = columns(len(files))
    whole = Image.new("RGB", (across * TILE, math.ceil(len(files) / across) * TILE), "white")
    for place, tile in enumerate(side_by_side(_tile, files, THREADS)):
        if tile:
            left, top = place % across * TILE, place // across * TILE
            whole.paste(tile, (left, top))
    stream = io.BytesIO()
    whole.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def columns(count: int) -> int:
    """How many tiles stand in a row of a sheet of `count`."""
    return max(1, math.ceil(math.sqrt(count)))


def _tile(file: str) -> Image.Image | None:
    try:
        # the middle of it; twice the size at first, so that a long one is not made larger
        return ImageOps.fit(read_image(Path(file), 2 * TILE), (TILE, TILE)) if file else None
    except ImageProblem:
        return None
