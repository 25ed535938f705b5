"""A prepared dataset on disk: images with neutral names, manifests, and true labels apart.

    NAME/
      images/SPLIT/000/SPLIT-000000.png    a thousand a folder
      SPLIT.csv                            a manifest a split or subset: id, file, what is known
      labels.csv                           the true labels: id, a column an axis
      sources.csv                          id, split, where it stood in the archive
      dataset.json                         what it is, written last

Pictures are written as they come; none but the one at hand is in memory.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image

from agentclust.datasets.recipe import Picture
from agentclust.errors import InputError

FORMAT = 1
ABOUT = "dataset.json"
LABELS = "labels.csv"
SOURCES = "sources.csv"
LOCK = ".lock"  # held by who is writing
FOLDER = 1000  # images a folder
STORED = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")  # what a PNG can be of


@dataclass
class Written:
    """What a dataset holds, counted while it was written.

    Attributes:
        counts: Samples of each split.
        manifests: Rows of each manifest.
        axes: The columns of its labels.
        smallest: Least width and height, in pixels; largest likewise.
        left_out: Files that no image could be read from, with the reason; the first of them.
        n_left_out: How many such files there are.
    """

    counts: Counter[str] = field(default_factory=Counter)
    manifests: Counter[str] = field(default_factory=Counter)
    axes: tuple[str, ...] = ()
    smallest: tuple[int, int] | None = None
    largest: tuple[int, int] | None = None
    left_out: list[str] = field(default_factory=list)
    n_left_out: int = 0

    def measure(self, size: tuple[int, int]) -> None:
        """Take an image's width and height into account."""
        low, high = self.smallest or size, self.largest or size
        self.smallest = (min(low[0], size[0]), min(low[1], size[1]))
        self.largest = (max(high[0], size[0]), max(high[1], size[1]))


@contextmanager
def staged(root: Path) -> Iterator[Path]:
    """A hidden folder beside `root`, which takes its name when the block ends well.

    What a killed process left of such a folder is removed first.

    Raises:
        OSError: The folder cannot be made.
    """
    root = root.resolve()
    root.parent.mkdir(parents=True, exist_ok=True)
    for old in root.parent.glob(f".{root.name}.*.part"):
        _remove_if_left(old)
    part = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".part", dir=root.parent))
    lock = FileLock(part / LOCK)
    try:
        part.chmod(0o755)
        with lock:
            yield part
        (part / LOCK).unlink(missing_ok=True)
        os.replace(part, root)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove_if_left(part: Path) -> None:
    """Remove a folder that no process is writing to."""
    if (part / LOCK).exists():
        with suppress(Timeout), FileLock(part / LOCK, timeout=0):
            shutil.rmtree(part, ignore_errors=True)


def write(
    pictures: Iterable[Picture], root: Path, movable: Path, progress: Callable[[int], object]
) -> Written:
    """Write pictures, manifests and labels into the folder `root`.

    Args:
        pictures: The samples.
        root: A folder that is there.
        movable: Files below it are moved; others stay where they are and are linked to.
        progress: Called with the number of samples so far.

    Raises:
        InputError: The pictures do not agree in their axes, or a split cannot be a file's name.
        OSError: It cannot be written.
    """
    done = Written()
    with ExitStack() as stack:
        tables = _Tables(root, stack)
        for picture in pictures:
            if not sum(done.counts.values()):
                done.axes = tuple(picture.labels)
                tables.open(LABELS, ("id", *done.axes))
                tables.open(SOURCES, ("id", "split", "source"))
            if tuple(picture.labels) != done.axes:
                axes = ", ".join(picture.labels) or "none"
                why = f"has other label axes ({axes}) than the first"
                raise InputError(picture.source, why, f"label all by {', '.join(done.axes)}")
            number = done.counts[picture.split]
            try:
                name, place = _put(picture, number, root, movable, done)
            except _NoImage as problem:
                done.n_left_out += 1
                done.left_out += [str(problem)] if len(done.left_out) < 3 else []
                continue
            done.counts[picture.split] += 1
            for manifest in (picture.split, *picture.subsets):
                _check(manifest)
                tables.open(f"{manifest}.csv", ("id", "file", *picture.known))
                tables.row(f"{manifest}.csv", (name, place, *picture.known.values()))
                done.manifests[manifest] += 1
            tables.row(LABELS, (name, *picture.labels.values()))
            tables.row(SOURCES, (name, picture.split, picture.source))
            progress(sum(done.counts.values()))
    return done


class _NoImage(Exception):
    """A file that holds no image."""


class _Tables:
    """Open CSV files."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root, self._stack = root, stack
        self._writers: dict[str, Any] = {}

    def open(self, name: str, head: Sequence[str]) -> None:
        """Begin a table, unless it was."""
        if name not in self._writers:
            stream = (self._root / name).open("w", encoding="utf-8", newline="")
            self._writers[name] = csv.writer(self._stack.enter_context(stream))
            self._writers[name].writerow(head)

    def row(self, name: str, values: Sequence[str]) -> None:
        self._writers[name].writerow(values)


def _check(manifest: str) -> None:
    taken = {file.removesuffix(".csv") for file in (LABELS, SOURCES)}
    if not re.fullmatch(r"\w[\w.-]{0,99}", manifest) or manifest in taken:
        why = "cannot be the name of a manifest"
        raise InputError(f"split {manifest!r}", why, "use letters, digits and hyphens")


def _put(
    picture: Picture, number: int, root: Path, movable: Path, done: Written
) -> tuple[str, str]:
    """Bring the image to its place; its id, and its file relative to `root`."""
    _check(picture.split)
    content = picture.content
    if content is None:
        return f"{picture.split}-{number:06d}", ""
    suffix = content.suffix.lower() if isinstance(content, Path) else ".png"
    name = f"{picture.split}-{number:06d}{suffix}"
    place = Path("images", picture.split, f"{number // FOLDER:03d}", name)
    if isinstance(content, Path):
        done.measure(_size(content, picture.source))
    else:
        done.measure(content.size)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, Path):
        image = content if content.mode in STORED else content.convert("RGB")
        image.save(root / place)
    elif content.is_relative_to(movable):
        os.replace(content, root / place)
    else:
        (root / place).symlink_to(content.absolute())
    return name, place.as_posix()


def _size(file: Path, source: str) -> tuple[int, int]:
    """Width and height that the head of an image file tells."""
    try:
        with Image.open(file) as image:
            return image.size
    except Exception as error:  # Pillow's readers raise anything on damaged files
        raise _NoImage(f"{source} ({error or type(error).__name__})") from None
