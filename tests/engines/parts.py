"""Parts that workers load in tests."""

import os
from pathlib import Path

from PIL import Image


class Size:
    """A captioner that tells what it was given."""

    identity = "size-1"

    def caption(self, image: Path) -> str:
        with Image.open(image) as found:
            return f"{found.width} x {found.height} at {image}"


class Deadly:
    """A captioner that no process survives."""

    identity = "deadly-1"

    def caption(self, image: Path) -> str:
        os._exit(1)
