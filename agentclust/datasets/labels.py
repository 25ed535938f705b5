"""True labels, read from a file of their own after the run: they never enter a dataset."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from agentclust.errors import InputError


def read_labels(file: Path, ids: Sequence[str], axis: str | None = None) -> dict[str, str]:
    """The true label of each sample that the file knows, by sample id.

    Args:
        file: CSV with a column ``id`` or ``file``, then a column an axis.
        ids: The run's sample ids. A ``file`` is matched as an id, as the end of one, or as the
            name that one ends in, where that is unambiguous.
        axis: The column to read; may be left out where there is only one.

    Raises:
        InputError: The file cannot be read, has no such column, or knows none of the samples.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(file, f"cannot be read ({error})", "pass a CSV file of labels") from None
    name = next((column for column in ("id", "file") if column in columns), None)
    if name is None:
        raise InputError(file, "has no column 'id' or 'file'", "add one that names the samples")
    axis = _axis(file, axis, [column for column in columns if column not in ("id", "file")])
    known = _by_name(ids)
    truth = {
        known[row[name]]: row[axis] for row in rows if row[name] in known and row[axis] is not None
    }
    if not truth:
        raise InputError(file, f"knows none of the {len(ids)} samples", f"check column {name!r}")
    return truth


def _axis(file: Path, axis: str | None, axes: list[str]) -> str:
    if axis in axes:
        return str(axis)
    if axis is None and len(axes) == 1:
        return axes[0]
    why = "has several axes" if axis is None else f"has no axis {axis!r}"
    raise InputError(file, why, f"pass --axis with one of: {', '.join(axes) or 'no columns'}")


def _by_name(ids: Sequence[str]) -> dict[str, str]:
    """Sample id by every unambiguous name: itself, and the last part of its path."""
    ends: dict[str, list[str]] = {}
    for sample_id in ids:
        ends.setdefault(sample_id.rsplit("/", 1)[-1], []).append(sample_id)
    unambiguous = {end: owners[0] for end, owners in ends.items() if len(owners) == 1}
    return unambiguous | {sample_id: sample_id for sample_id in ids}
