"""True labels, read from a file of their own after the run: they never enter a dataset."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from agentclust.errors import InputError


def read_labels(
    file: Path, ids: Sequence[str], axis: str | None = None, files: Sequence[str] = ()
) -> dict[str, str]:
    """The true label of each sample that the file knows, by sample id; an empty one is none.

    Args:
        file: CSV with a column ``id`` or ``file``, then a column an axis.
        ids: The run's sample ids. What names a sample in the file is matched as an id, or else as
            the end of the path of one sample alone: of its id, or of its image.
        axis: The column to read; may be left out where there is only one.
        files: The paths of the samples' images, in the order of `ids`, where they are known.

    Raises:
        InputError: The file cannot be read, has no such column, knows none of the samples, or
            gives one of them two labels.
    """
    known = _by_name(ids, files)
    truth: dict[str, str] = {}
    with _opened(file, axis) as (reader, name, axis):
        for row in reader:
            sample_id, label = known.get(row[name]), row[axis]
            if sample_id is None or not label:
                continue
            if truth.setdefault(sample_id, sys.intern(label)) != label:
                why = f"gives {sample_id!r} two labels, {truth[sample_id]!r} and {label!r}"
                raise InputError(file, why, "keep one row a sample")
    if not truth:
        raise InputError(file, f"knows none of the {len(ids)} samples", f"check column {name!r}")
    return truth


def axis_of(file: Path, axis: str | None = None) -> str:
    """The column that `read_labels` reads.

    Raises:
        InputError: The file cannot be read, or has no such column.
    """
    with _opened(file, axis) as (_, _, found):
        return found


@contextmanager
def _opened(file: Path, axis: str | None) -> Iterator[tuple[csv.DictReader[str], str, str]]:
    """The rows of a file of labels, the column that names the samples, and the axis."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = list(reader.fieldnames or ())
            name = next((column for column in ("id", "file") if column in columns), None)
            if name is None:
                todo = "add one that names the samples"
                raise InputError(file, "has no column 'id' or 'file'", todo)
            axes = [c for c in columns if c and c not in ("id", "file")]
            yield reader, name, _axis(file, axis, axes)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(file, f"cannot be read ({error})", "pass a CSV file of labels") from None


def _axis(file: Path, axis: str | None, axes: list[str]) -> str:
    if axis in axes:
        return str(axis)
    if axis is None and len(axes) == 1:
        return axes[0]
    why = "has several axes" if axis is None else f"has no axis {axis!r}"
    raise InputError(file, why, f"pass --axis with one of: {', '.join(axes) or 'no columns'}")


def _by_name(ids: Sequence[str], files: Sequence[str]) -> dict[str, str | None]:
    """Sample id by every end of it and of its path, and by itself; None where two share one."""
    owner: dict[str, str | None] = {}
    for sample_id, path in zip_longest(ids, files, fillvalue=""):
        for name in (sample_id, path):
            parts = name.split("/")
            for start in range(len(parts)):
                end = "/".join(parts[start:])
                owner[end] = sample_id if owner.get(end, sample_id) == sample_id else None
    owner.update((sample_id, sample_id) for sample_id in ids)
    return owner


def label_list(file: Path) -> dict[str, str]:
    """The label of each image by its name, from a file that labels one axis.

    Args:
        file: CSV with a head, the name first and then the label; or text with a line an image: its
            name, a space, its label.

    Raises:
        InputError: The file cannot be read, or gives one image two labels.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if file.suffix.lower() == ".csv":
                pairs = [(row[0], row[1]) for row in list(csv.reader(stream))[1:] if len(row) > 1]
            else:
                pairs = [line.strip().partition(" ")[::2] for line in stream if line.strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(file, f"cannot be read ({error})", "pass a file of labels") from None
    found: dict[str, str] = {}
    for name, label in pairs:
        if found.setdefault(name, label.strip()) != label.strip():
            why = f"gives {name!r} two labels, {found[name]!r} and {label.strip()!r}"
            raise InputError(file, why, "keep one line an image")
    return found
