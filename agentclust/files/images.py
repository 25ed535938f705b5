"""Reading images of any kind safely: one way in, always upright RGB, or a clear reason."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

from agentclust.errors import ImageProblem

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs
NOT_READ = ("EPS",)  # Pillow hands it to Ghostscript: it is a program, not a picture
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def suffixes() -> frozenset[str]:
    """The suffixes of the files that can be read, in lower case, with the dot."""
    known = Image.registered_extensions()
    readable = {*_formats(), "MPO"}  # an MPO is opened as a JPEG
    return frozenset(suffix for suffix, name in known.items() if name in readable)


def read_image(path: Path, edge: int | None = None) -> Image.Image:
    """The first frame as upright 8-bit RGB, transparency on white.

    Args:
        path: The image file.
        edge: Longest side in pixels; larger images are scaled down, smaller ones kept.

    Raises:
        ImageProblem: The file is missing, no image, truncated, or larger than `MAX_PIXELS`.
    """
    return _read(path, edge)[0]


def probe(path: Path) -> tuple[str, tuple[int, int]]:
    """SHA-256 of the file and the upright size in pixels, after proving that it decodes.

    Raises:
        ImageProblem: As `read_image`.
    """
    _, size = _read(path, 64)  # JPEGs decode at an eighth of the size, but to the last byte
    with _reasons(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), size


def _read(path: Path, edge: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """The image scaled down to `edge`, and the upright size of the whole."""
    with _reasons(path):
        if path.exists() and not path.is_file():  # reading a pipe or a device may never end
            raise _problem(path, "not a regular file", "remove it")
        with Image.open(path, formats=_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            size = image.size
            drafted = image.draft("RGB", (edge, edge)) if edge else None
            image.load()
            size = size if drafted else image.size
            turn = _orientation(image)
            # ImageOps.exif_transpose also writes the EXIF data anew, and fails on odd ones
            rgb = _to_rgb(image.transpose(UPRIGHT[turn]) if turn in UPRIGHT else image)
    if edge and max(rgb.size) > edge:
        # half the time of LANCZOS, and no visible difference to a model that resizes anyway
        rgb.thumbnail((edge, edge), Image.Resampling.HAMMING)
    return rgb, (size[1], size[0]) if turn >= 5 else size


def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in NOT_READ)


def _orientation(image: Image.Image) -> int:
    try:
        turn = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF data leave a good picture
        return 1
    return turn if turn in UPRIGHT else 1


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Say in words what is wrong with an image."""
    try:
        yield
    except ImageProblem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _problem(path, f"more than {MAX_PIXELS:,} pixels", "scale it down") from None
    except UnidentifiedImageError:
        why = "not an image Pillow can read" if path.stat().st_size else "an empty file"
        raise _problem(path, why, "convert or remove it") from None
    except FileNotFoundError:
        raise _problem(path, "file not found", "check the path") from None
    except PermissionError:
        raise _problem(path, "no permission to read it", "check the file's mode") from None
    except Exception as error:  # Pillow's readers raise anything on damaged files
        why = f"damaged or truncated image ({error or type(error).__name__})"
        if isinstance(error, OSError) and error.strerror:
            why = f"cannot be read ({error.strerror})"
        raise _problem(path, why, "restore or remove the file") from None


def _problem(path: Path, why: str, todo: str) -> ImageProblem:
    return ImageProblem(path.name, why, todo)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        values *= 255 / _white(image.mode, float(values.max(initial=0)))
        return Image.fromarray(values.clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _white(mode: str, highest: float) -> float:
    """The value that is white: by the depth the values need, so that a dark picture stays dark."""
    if mode.startswith("I;16"):
        return 65535.0
    depths = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((depth for depth in depths if highest <= depth), highest)


def jpeg(path: Path, edge: int, quality: int = 85) -> bytes:
    """The image as JPEG bytes, longest side at most `edge` pixels."""
    stream = io.BytesIO()
    # the file's own comment stays behind: it may name what the picture shows
    read_image(path, edge).save(stream, "JPEG", quality=quality, comment=b"")
    return stream.getvalue()


def data_url(path: Path, edge: int, quality: int = 85) -> str:
    """The image as a ``data:`` URL, longest side at most `edge` pixels."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(path, edge, quality)).decode()
