"""Tables with label columns: a manifest of your own, and Hugging Face `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from agentclust.datasets.manifests import COLUMNS, SUFFIXES, read_rows, texts
from agentclust.datasets.recipe import Picture, Recipe, Source, mixed
from agentclust.errors import InputError, MissingExtra

ALL = "all"
SPLIT = "split"  # the column that names a row's split
KNOWN = ("caption", "raw_label")


def _read(source: Source) -> Iterator[Picture]:
    manifest = source.folder
    if not manifest.is_file() or manifest.suffix.lower() not in SUFFIXES:
        raise InputError(manifest, "is no manifest", "pass a .csv or .jsonl file")
    columns: dict[str, bool] = {}  # and whether any row has a value there
    rows: list[str] = []  # as text they need half the memory
    for row in read_rows(manifest):
        columns |= {name: bool(columns.get(name) or row[name]) for name in row if name}
        rows.append(json.dumps(row))
    axes = source.wishes.axes or tuple(c for c in columns if c not in (*COLUMNS, SPLIT))
    known = [name for name in KNOWN if columns.get(name)]
    for number in mixed(range(len(rows))):
        row, where = json.loads(rows[number]), f"{manifest.name} row {number + 1}"
        given = texts(row, (*COLUMNS, *axes, SPLIT), where)
        file = manifest.parent / given["file"] if "file" in given else None
        split = given.get(SPLIT, ALL)
        if not source.splits or split in source.splits:
            labels = {axis: given.get(axis, "") for axis in axes}
            told = {name: given.get(name, "") for name in known}
            yield Picture(given.get("id", where), split, labels, file, known=told)


MANIFEST = Recipe(
    about="your own: a .csv or .jsonl manifest with a column a label axis",
    read=_read,
    needs="a .csv or .jsonl file with id, file or caption, and a column a label axis",
)


def _read_hub(source: Source) -> Iterator[Picture]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("huggingface", "datasets") from None
    name = source.wishes.given[0]
    try:
        is_saved = any((source.folder / f).is_file() for f in ("state.json", "dataset_dict.json"))
        loaded = datasets.load_from_disk(name) if is_saved else datasets.load_dataset(name)
    except Exception as error:  # it raises anything, from a missing network to a wrong name
        why = f"cannot be loaded ({' '.join(str(error).split())[:300] or type(error).__name__})"
        raise InputError(name, why, "pass a repository or a folder that `datasets` loads") from None
    tables = loaded if isinstance(loaded, dict) else {str(loaded.split or ALL): loaded}
    for split, table in tables.items():
        if not source.splits or split in source.splits:
            yield from _table(name, str(split), table, source.wishes.axes)


def _table(name: str, split: str, table: Any, axes: Sequence[str]) -> Iterator[Picture]:
    from datasets import ClassLabel, Image

    images = [column for column, kind in table.features.items() if isinstance(kind, Image)]
    if not images:
        why = f"split {split!r} has no column of images"
        raise InputError(name, why, "take another dataset")
    kinds = {c: k for c, k in table.features.items() if isinstance(k, ClassLabel)}
    axes = axes or tuple(kinds)
    lost = [axis for axis in axes if axis not in table.features]
    if lost:
        known = ", ".join(column for column in table.features if column != images[0])
        raise InputError(f"--axis {lost[0]}", f"is no column of {name}", f"it has: {known}")
    for number in mixed(range(len(table))):
        try:
            row = table[number]
        except Exception as error:  # as Pillow's readers do on damaged images
            where = f"{name}, {split} {number}"
            why = f"cannot be read ({error or type(error).__name__})"
            raise InputError(where, why, "mend the dataset") from None
        labels = {axis: _label(kinds.get(axis), row[axis]) for axis in axes}
        if row[images[0]] is not None:
            yield Picture(f"{split}:{number}", split, labels, row[images[0]])


def _label(kind: Any, value: Any) -> str:
    """A label as text; -1 and None are none."""
    if value is None or (kind and value < 0):
        return ""
    return str(kind.int2str(value) if kind else value)


HUGGINGFACE = Recipe(
    about="a dataset of the Hugging Face hub, or a folder that `datasets` loads",
    read=_read_hub,
    needs="a repository of the Hugging Face hub or a folder that `datasets` loads",
)
