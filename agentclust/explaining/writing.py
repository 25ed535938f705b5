"""Explanations in the run's folder: a table, the heat maps, and a page of all that still hold."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from agentclust.explaining.explained import Box, Explained, Explanation, Heat
from agentclust.files.images import read_image
from agentclust.files.journal import write_json, write_whole
from agentclust.report.evidence import FOLDER, TABLE, evidence, known
from agentclust.report.explained import write_page
from agentclust.run.record import read_clustering

EDGE = 320  # longest side of a heat map, pixels
QUALITY = 80
STRENGTH = 0.6  # share of colour at the hottest place
DIM = 0.55  # light that is left of what the network did not see
# from cold to hot, sRGB
RAMP = ((255, 225, 110), (250, 150, 50), (215, 40, 45))


def write(folder: Path, found: Explained) -> Path:
    """Add explanations to those of a run, which hold as long as the image stays where it is.

    Args:
        folder: The run directory.
        found: What was found out.

    Returns:
        The page.

    Raises:
        InputError: The explanations that are there already are damaged.
        RunError: The folder cannot be written.
    """
    target = folder / FOLDER
    clustering = read_clustering(folder)
    rows = known(folder)
    before = {i: rows[i] for i in evidence(clustering)}
    pictures = [(one, _drawn(one, one.heat)) for one in found.images if one.heat is not None]
    for one, picture in pictures:
        # ids hold anything, file names do not
        digest = hashlib.sha256(one.id.encode(errors="backslashreplace")).hexdigest()
        one.file = f"heat/{digest[:20]}.jpg"
        write_whole(target / one.file, picture)
    about = found.as_json()
    about["images"] = list((before | {row["id"]: row for row in about["images"]}).values())
    write_json(target / TABLE, about)
    _tidy(target, about["images"])
    return write_page(about, clustering, target / "index.html")


def _tidy(target: Path, images: list[Mapping[str, Any]]) -> None:
    """Remove the heat maps of what is explained no more."""
    kept = {row["heat"]["file"] for row in images if row["heat"]}
    for file in (target / "heat").glob("*.jpg"):
        if f"heat/{file.name}" not in kept:
            with suppress(OSError):
                file.unlink()


def _drawn(one: Explanation, heat: Heat) -> bytes:
    """The heat map over its image as JPEG."""
    image = overlaid(read_image(Path(one.path), EDGE), heat, one.seen)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def overlaid(image: Image.Image, heat: Heat, seen: Box) -> Image.Image:
    """An image in grey with its evidence in colour; what the network did not see is dim."""
    width, height = image.size
    left, top, right, bottom = (
        round(share * side) for share, side in zip(seen, (width, height) * 2, strict=True)
    )
    hottest = max(float(heat.max()), float(np.finfo(np.float32).tiny))
    small = Image.fromarray((heat / hottest).astype(np.float32))
    size = (max(right - left, 1), max(bottom - top, 1))
    part = np.asarray(small.resize(size, Image.Resampling.BILINEAR))[: height - top, : width - left]
    warm = np.zeros((height, width), dtype=np.float32)
    light = np.full((height, width, 1), DIM, dtype=np.float32)
    place = (slice(top, top + part.shape[0]), slice(left, left + part.shape[1]))
    warm[place], light[place] = part.clip(0, 1), 1
    stops = np.linspace(0, 1, len(RAMP))
    colour = np.stack([np.interp(warm, stops, channel) for channel in zip(*RAMP, strict=True)], -1)
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None] * light
    share = STRENGTH * warm[..., None]
    return Image.fromarray((grey * (1 - share) + colour * share).round().astype(np.uint8))
