"""MNIST (LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning, Proceedings of the IEEE 1998).

IDX files: a big-endian head (2051, images, rows, columns; or 2049, labels), then bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agentclust.datasets.recipe import Archive, Picture, Recipe, Source, among, found
from agentclust.errors import InputError

HOME = "https://ossci-datasets.s3.amazonaws.com/mnist"  # the mirror that PyTorch uses
FILES = {"train": "train", "test": "t10k"}
DIGITS = tuple("0123456789")


def _read(source: Source) -> Iterator[Picture]:
    for split in source.splits:
        if split not in FILES:
            continue
        file = found(source.folder, f"{FILES[split]}-images-idx3-ubyte", split)
        images = _array(file, 3)
        labels = _array(found(source.folder, f"{FILES[split]}-labels-idx1-ubyte", split), 1)
        if len(labels) != len(images):
            why = f"has {len(images)} images for {len(labels)} labels"
            raise InputError(file.name, why, "take the official archives")
        for number, pixels in enumerate(images):
            where = f"{file.name}:{number}"
            digit = among(int(labels[number]), DIGITS, where)
            yield Picture(where, split, {"digit": digit}, Image.fromarray(np.array(pixels)))


def _array(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file as an array of so many dimensions."""
    with file.open("rb") as stream:
        head = stream.read(4 + 4 * dimensions)
    kind, *shape = np.frombuffer(head[: len(head) // 4 * 4], ">u4").tolist() or [0]
    size = len(head) + int(np.prod(shape))
    if kind != 0x800 + dimensions or len(shape) != dimensions or file.stat().st_size != size:
        why = f"is no whole IDX file of bytes in {dimensions} dimensions"
        raise InputError(file.name, why, "take the official archives")
    return np.memmap(file, np.uint8, "r", len(head), tuple(shape))


def _archive(name: str, checksum: str) -> Archive:
    return Archive(f"{name}.gz", f"{HOME}/{name}.gz", checksum)


MNIST = Recipe(
    about="70,000 handwritten digits",
    read=_read,
    archives=(
        _archive("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        _archive("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
        _archive("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
        _archive("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    splits=("train", "test"),
    default="test",
)
