"""Small pictures as text, for a page that needs no other file."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agentclust.errors import ImageProblem
from agentclust.files.images import data_url

EDGE = 160  # pixels; about 5 kB as JPEG
QUALITY = 75
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
