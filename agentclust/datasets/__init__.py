"""Datasets: a folder of images, a manifest, or a registered name -> `Dataset`.

Knows nothing of true labels; those are read by `agentclust.datasets.labels`, after a run.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from agentclust import plugins
from agentclust.cache import home
from agentclust.errors import ImageProblem, InputError
from agentclust.images import probe
from agentclust.types import Dataset, LeftOut, Sample

__all__ = ["from_files", "load", "prepare"]

Progress = Callable[[int, int], None]
COLUMNS = ("id", "file", "caption", "raw_label")


def load(source: str, progress: Progress = lambda done, total: None) -> Dataset:
    """The dataset behind a folder, a ``.csv`` or ``.jsonl`` manifest, or a registered name.

    Args:
        source: What a person typed.
        progress: Called with (images read, images in all).

    Raises:
        InputError: Nothing there, nothing usable in it, or a manifest that does not fit.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_folder(path, progress)
    if path.suffix.lower() in (".csv", ".jsonl") and path.is_file():
        return _from_manifest(path, progress)
    if source in plugins.names("datasets"):
        return _from_folder(prepare(source) / "images", progress)
    if path.exists():
        raise InputError(source, "is neither a folder nor a manifest", "pass a .csv or .jsonl file")
    if path.suffix or os.sep in source:
        raise InputError(source, "does not exist", "pass a folder of images or a manifest")
    raise plugins.unknown("dataset", source, plugins.names("datasets"))


def prepare(name: str, root: Path | None = None) -> Path:
    """Make a registered dataset below `root` and return its folder.

    Raises:
        InputError: Nobody knows the name, or the folder holds something else.
    """
    root = root or home() / "datasets"
    return Path(plugins.find("datasets", name)(root / name))


def from_files(files: Sequence[str | os.PathLike[str]]) -> Dataset:
    """The dataset of these image files; ids are the shortest distinct ends of their paths."""
    paths = [Path(file).expanduser() for file in files]
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(set(paths)):
        depth += 1
    rows = [{"id": "/".join(path.parts[-depth:]), "file": path} for path in paths]
    return _make("files", rows, lambda done, total: None)


def _from_folder(folder: Path, progress: Progress) -> Dataset:
    images, others = [], []
    suffixes = Image.registered_extensions()
    for file in _walk(folder):
        name = file.relative_to(folder).as_posix()
        if file.suffix.lower() in suffixes:
            images.append({"id": name, "file": file})
        else:
            others.append(LeftOut(name, f"{file.suffix or 'no suffix'} is not an image format"))
    if not images:
        found = f"{len(others)} other files" if others else "no files"
        raise InputError(folder, f"holds no images ({found})", "pass a folder of images")
    return _make(str(folder), images, progress, others)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _from_manifest(manifest: Path, progress: Progress) -> Dataset:
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(_read_rows(manifest), 1):
        where = f"{manifest.name} row {number}"
        given = {name: row[name] for name in COLUMNS if row.get(name) not in (None, "")}
        if "id" not in given:
            raise InputError(where, "has no 'id'", "give every row a distinct id")
        wrong = [name for name, value in given.items() if not isinstance(value, str | int)]
        if wrong:
            raise InputError(where, f"{wrong[0]!r} is no text", "write a string")
        given = {name: str(value) for name, value in given.items()}
        if len(given) == 1:
            raise InputError(
                where, "has none of 'file', 'caption', 'raw_label'", "give at least one of them"
            )
        if "file" in given:
            given["file"] = manifest.parent / given["file"]
        rows.append(given)
    if not rows:
        raise InputError(manifest, "holds no rows", "write one row a sample")
    return _make(str(manifest), rows, progress)


def _read_rows(manifest: Path) -> Iterator[dict[str, Any]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            if manifest.suffix.lower() == ".csv":
                reader = csv.DictReader(stream)
                if "id" not in (reader.fieldnames or ()):
                    raise InputError(manifest, "has no column 'id'", "add one with distinct ids")
                yield from reader
                return
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise InputError(f"{manifest}:{number}", "is no JSON object", "write {...}")
                yield row
    except UnicodeDecodeError:
        raise InputError(manifest, "is not UTF-8 text", "save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{manifest}:{number}", f"is no JSON ({error.msg})", "mend it") from None
    except csv.Error as error:
        raise InputError(manifest, f"is no CSV ({error})", "mend it") from None


def _make(
    name: str,
    rows: Sequence[dict[str, Any]],
    progress: Progress,
    left_out: Sequence[LeftOut] = (),
) -> Dataset:
    _check_ids(name, (row["id"] for row in rows))
    samples: list[Sample] = []
    problems = list(left_out)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done, (row, found) in enumerate(zip(rows, pool.map(_probe, rows), strict=True), 1):
            progress(done, len(rows))
            if isinstance(found, str):
                problems.append(LeftOut(row["id"], found))
            else:
                samples.append(Sample(**row | found))
    if not samples:
        raise InputError(
            name, f"no usable image among {len(rows)} ({problems[0].reason})", "check the files"
        )
    return Dataset(name, tuple(samples), tuple(problems), _fingerprint(samples))


def _probe(row: dict[str, Any]) -> dict[str, Any] | str:
    """What the file adds to a row, or the reason why it cannot be used."""
    if "file" not in row:
        return {}
    try:
        sha256, size = probe(row["file"])
    except ImageProblem as problem:
        return problem.why
    return {"sha256": sha256, "size": size}


def _check_ids(name: str, ids: Iterable[str]) -> None:
    seen = set[str]()
    for sample_id in ids:
        if sample_id in seen:
            raise InputError(name, f"id {sample_id!r} stands there twice", "make ids distinct")
        seen.add(sample_id)


def _fingerprint(samples: Iterable[Sample]) -> str:
    """Digest of the ids and contents, whatever the folder is called."""
    digest = hashlib.sha256()
    for sample in samples:
        parts = (sample.id, sample.sha256, sample.caption or "", sample.raw_label or "")
        digest.update(json.dumps(parts).encode())
    return digest.hexdigest()
