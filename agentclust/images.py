"""Reading images of any kind safely: one way in, always upright RGB, or a clear reason."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from agentclust.errors import ImageProblem

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs


def read_image(path: Path, edge: int | None = None) -> Image.Image:
    """The first frame as upright 8-bit RGB, transparency on white.

    Args:
        path: The image file.
        edge: Longest side in pixels; larger images are scaled down, smaller ones kept.

    Raises:
        ImageProblem: The file is missing, no image, truncated, or larger than `MAX_PIXELS`.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if edge:
                image.draft("RGB", (edge, edge))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _to_rgb(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _problem(path, f"more than {MAX_PIXELS:,} pixels", "scale it down") from None
    except UnidentifiedImageError:
        raise _problem(path, "not an image Pillow can read", "convert or remove it") from None
    except FileNotFoundError:
        raise _problem(path, "file not found", "check the path") from None
    except PermissionError:
        raise _problem(path, "no permission to read it", "check the file's mode") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        reason = f"damaged or truncated image ({error})"
        raise _problem(path, reason, "restore or remove the file") from None
    if edge and max(rgb.size) > edge:
        # half the time of LANCZOS, and no visible difference to a model that resizes anyway
        rgb.thumbnail((edge, edge), Image.Resampling.HAMMING)
    return rgb


def _problem(path: Path, why: str, todo: str) -> ImageProblem:
    return ImageProblem(path.name, why, todo)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        # 16-bit data opens as mode I: scale by what the values need, not by their maximum,
        # so that a dark picture stays dark
        top = 255.0 if values.max(initial=0) <= 255 else 65535.0
        scaled = np.clip(values / top * 255, 0, 255).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def probe(path: Path) -> tuple[str, tuple[int, int]]:
    """SHA-256 of the file and the upright size in pixels, after proving that it decodes.

    Raises:
        ImageProblem: As `read_image`.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        with Image.open(path) as image:
            size = image.size
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception:
        read_image(path)  # gives the reason in words
        raise
    read_image(path, edge=64)  # JPEGs decode at an eighth of the size, but to the last byte
    return digest, (size[1], size[0]) if turned else size


def jpeg(path: Path, edge: int, quality: int = 85) -> bytes:
    """The image as JPEG bytes, longest side at most `edge` pixels."""
    stream = io.BytesIO()
    # the file's own comment stays behind: it may name what the picture shows
    read_image(path, edge).save(stream, "JPEG", quality=quality, comment=b"")
    return stream.getvalue()


def data_url(path: Path, edge: int, quality: int = 85) -> str:
    """The image as a ``data:`` URL, longest side at most `edge` pixels."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(path, edge, quality)).decode()
