"""CIFAR-10 and CIFAR-100 (Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009).

The binary version: a record is one byte a label (CIFAR-100: superclass, then class) and 3,072 bytes
of pixels, 32 x 32, the red plane first, then green and blue, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from agentclust.datasets.recipe import Archive, Picture, Recipe, Source, among, found, inside, lines
from agentclust.errors import InputError

PIXELS = 3 * 32 * 32
HOME = "https://www.cs.toronto.edu/~kriz"


def _read10(source: Source) -> Iterator[Picture]:
    folder = inside(source.folder, "cifar-10-batches-bin")
    names = lines(found(folder, "batches.meta.txt"))
    files = {"train": [f"data_batch_{n}.bin" for n in range(1, 6)], "test": ["test_batch.bin"]}
    yield from _records(folder, source.splits, files, {"class": names})


def _read100(source: Source) -> Iterator[Picture]:
    folder = inside(source.folder, "cifar-100-binary")
    axes = {
        "superclass": lines(found(folder, "coarse_label_names.txt")),
        "class": lines(found(folder, "fine_label_names.txt")),
    }
    files = {"train": ["train.bin"], "test": ["test.bin"]}
    yield from _records(folder, source.splits, files, axes)


def _records(
    folder: Path,
    splits: Sequence[str],
    files: Mapping[str, Sequence[str]],
    axes: Mapping[str, Sequence[str]],
) -> Iterator[Picture]:
    """The pictures of each wanted split; `axes` are in the order of a record's label bytes."""
    for split in splits:
        for name in files.get(split, ()):
            file = found(folder, name, split)
            width = len(axes) + PIXELS
            if not file.stat().st_size or file.stat().st_size % width:
                why = f"is no whole number of records of {width} bytes"
                raise InputError(name, why, "take the official archive")
            records = np.memmap(file, np.uint8, "r").reshape(-1, width)
            for number, record in enumerate(records):
                where = f"{name}:{number}"
                labels = {
                    axis: among(int(record[at]), names, where)
                    for at, (axis, names) in enumerate(axes.items())
                }
                planes = np.asarray(record[len(axes) :]).reshape(3, 32, 32)
                image = Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))
                yield Picture(where, split, labels, image)


CIFAR10 = Recipe(
    about="60,000 small photographs of 10 classes",
    read=_read10,
    archives=(
        Archive(
            "cifar-10-binary.tar.gz",
            f"{HOME}/cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
    ),
    splits=("train", "test"),
    default="test",
)
CIFAR100 = Recipe(
    about="60,000 small photographs of 100 classes in 20 superclasses",
    read=_read100,
    archives=(
        Archive(
            "cifar-100-binary.tar.gz",
            f"{HOME}/cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
        ),
    ),
    splits=("train", "test"),
    default="test",
)
