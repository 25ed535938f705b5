"""Clevr-4 (Vaze, Vedaldi, Zisserman: No Representation Rules Them All, NeurIPS 2023).

``images/NAME.png`` and ``clevr_4_annots.json``: NAME -> texture, shape, color, count, split. Four
taxonomies of the same images, ten values each, here four label axes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentclust.datasets.recipe import Archive, Picture, Recipe, Source, found, inside, mixed
from agentclust.errors import InputError

HOME = "https://thor.robots.ox.ac.uk/clevr4"
SUMS = f"{HOME}/SHA512SUMS"
AXES = {"texture": "texture", "shape": "shape", "colour": "color", "count": "count"}
ALL = "all"


def _read(source: Source) -> Iterator[Picture]:
    folder = source.folder
    for name in ("clevr_4_10k_v1", "clevr_4_100k_v1"):
        folder = inside(folder, name)
    file = found(folder, "clevr_4_annots.json")
    try:
        annotations = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InputError(file.name, f"is no JSON ({error})", "take the official archive") from None
    if not isinstance(annotations, dict):
        raise InputError(file.name, "is no JSON object", "take the official archive")
    images = found(folder, "images")
    for name, entry in mixed(annotations.items()):
        picture = _picture(file, images, name, entry)
        if not source.splits or picture.split in source.splits:
            yield picture


def _picture(file: Path, images: Path, name: str, entry: Any) -> Picture:
    try:
        labels = {axis: str(entry[key]) for axis, key in AXES.items()}
        split = str(entry["split"])
    except (KeyError, TypeError):
        keys = ", ".join([*AXES.values(), "split"])
        raise InputError(f"{file.name}: {name}", f"lacks one of {keys}", "mend it") from None
    image = f"{name.removesuffix('.png')}.png"
    return Picture(f"images/{image}", split, labels, found(images, image), (ALL,))


CLEVR4_10K = Recipe(
    about="about 10,000 rendered pictures by texture, shape, colour and count (3.8 GB)",
    read=_read,
    archives=(
        Archive(
            "clevr_4_10k_v1.zip",
            f"{HOME}/clevr_4_10k_v1.zip",
            "769465d90b6550a242f6d5940b52f2e0944c65af09e17e6f3f2cb65701af66057"
            "ab06485b2194fa9d8932e03a03e87b3fadece43049e1af1ddd9f8e4990ed19a",
        ),
    ),
    default=ALL,
)
CLEVR4_100K = Recipe(
    about="about 100,000 rendered pictures by texture, shape, colour and count",
    read=_read,
    archives=(Archive("clevr_4_100k_v1.zip", f"{HOME}/clevr_4_100k_v1.zip", sums=SUMS),),
    default=ALL,
)
