"""Small pictures drawn by the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image


def picture(size: tuple[int, int] = (12, 8), colour: str = "red", mode: str = "RGB") -> Image.Image:
    """A picture of one colour whose upper left quarter is white."""
    image = Image.new("RGB", size, colour)
    image.paste("white", (0, 0, size[0] // 2, size[1] // 2))
    return image.convert(mode)


def draw(file: Path, *, size: Any = (12, 8), colour: str = "red", mode: str = "RGB", **how: Any):
    """Save such a picture and return its file; `how` goes to Pillow."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture(size, colour, mode).save(file, **how)
    return file
