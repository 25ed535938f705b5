"""Parts that workers load in tests."""

from pathlib import Path

from PIL import Image


class Size:
    """A captioner that tells what it was given."""

    identity = "size-1"

    def caption(self, image: Path) -> str:
        with Image.open(image) as found:
            return f"{found.width} x {found.height} at {image}"
