"""STL-10 (Coates, Lee, Ng: An Analysis of Single-Layer Networks, AISTATS 2011).

``SPLIT_X.bin`` holds 3 x 96 x 96 bytes an image, each colour's plane column by column;
``SPLIT_y.bin`` a byte a label, from 1. The unlabelled images are prepared where they are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from agentclust.datasets.recipe import Archive, Picture, Recipe, Source, among, found, inside, lines
from agentclust.errors import InputError

EDGE = 96
SPLITS = ("train", "test", "unlabeled")


def _read(source: Source) -> Iterator[Picture]:
    folder = inside(source.folder, "stl10_binary")
    names = lines(found(folder, "class_names.txt"))
    for split in source.splits:
        if split in SPLITS:
            yield from _split(folder, split, names)


def _split(folder: Path, split: str, names: list[str]) -> Iterator[Picture]:
    file = found(folder, f"{split}_X.bin", split)
    width = 3 * EDGE * EDGE
    if not file.stat().st_size or file.stat().st_size % width:
        why = f"is no whole number of images of {width} bytes"
        raise InputError(file.name, why, "take the official archive")
    images = np.memmap(file, np.uint8, "r").reshape(-1, 3, EDGE, EDGE)
    numbers = None
    if split != "unlabeled":
        numbers = np.fromfile(found(folder, f"{split}_y.bin", split), np.uint8)
        if len(numbers) != len(images):
            why = f"has {len(numbers)} labels for {len(images)} images"
            raise InputError(f"{split}_y.bin", why, "take the official archive")
    for number, planes in enumerate(images):
        where = f"{file.name}:{number}"
        label = "" if numbers is None else among(int(numbers[number]) - 1, names, where)
        image = Image.fromarray(np.ascontiguousarray(planes.transpose(2, 1, 0)))
        yield Picture(where, split, {"class": label}, image)


STL10 = Recipe(
    about="13,000 labelled photographs of 10 classes, and 100,000 without labels",
    read=_read,
    archives=(
        Archive(
            "stl10_binary.tar.gz",
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "91f7769df0f17e558f3565bffb0c7dfb",
        ),
    ),
    splits=("train", "test"),
    default="test",
)
