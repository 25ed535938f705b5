"""Datasets: a folder of images, a manifest, or the name of a prepared one -> `Dataset`.

Knows nothing of true labels; those are read by `agentclust.datasets.labels`, after a run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from agentclust import plugins
from agentclust.cache import home
from agentclust.datasets import preparing
from agentclust.datasets.manifests import SUFFIXES, samples_of, shown
from agentclust.datasets.recipe import Recipe, Wishes
from agentclust.datasets.writing import ABOUT
from agentclust.errors import ImageProblem, InputError
from agentclust.files.images import probe, suffixes
from agentclust.files.journal import read_json
from agentclust.progress import Reporter
from agentclust.types import Dataset, LeftOut, Sample

__all__ = ["folder_of", "from_files", "known", "load", "prepare"]

Progress = Callable[[int, int], None]
WINDOW = 512  # images that are read ahead


def load(source: str, progress: Progress = lambda done, total: None) -> Dataset:
    """The dataset behind a folder, a ``.csv`` or ``.jsonl`` manifest, or a known name.

    Args:
        source: What a person typed.
        progress: Called with (images read, images in all).

    Raises:
        InputError: Nothing there, nothing usable in it, or a manifest that does not fit.
    """
    if not source.strip():
        raise InputError(repr(source), "names no dataset", "pass a folder of images or a manifest")
    path = _path(source)
    try:
        there, folder, file = path.exists(), path.is_dir(), path.is_file()
    except OSError as error:
        raise InputError(source, f"cannot be read ({error.strerror})", "check the path") from None
    if folder:
        return _from_any_folder(path, progress)
    if file and path.suffix.lower() in SUFFIXES:
        return _from_manifest(path, progress)
    if source in known():
        return _from_any_folder(_prepared(source), progress)
    if there:
        raise InputError(source, "is neither a folder nor a manifest", "pass a .csv or .jsonl file")
    if path.suffix or os.sep in source:
        raise InputError(source, "does not exist", "pass a folder of images or a manifest")
    raise plugins.unknown("folder or dataset", source, known())


def known(root: Path | None = None) -> list[str]:
    """The names of all datasets: those that can be prepared, and what is prepared below `root`."""
    prepared = {file.parent.name for file in folder_of("", root).glob(f"*/{ABOUT}")}
    return sorted({*plugins.names("datasets"), *prepared})


def prepare(
    name: str,
    root: Path | None = None,
    wishes: Wishes | None = None,
    called: str = "",
    reporter: Reporter | None = None,
) -> Path:
    """Make a dataset below `root` and return its folder.

    Args:
        name: The dataset, as `known` has it.
        root: The folder of datasets; by default the one where `load` finds them by name.
        wishes: What to make it from, and which parts of it.
        called: The name of its folder; by default the dataset's.
        reporter: Where progress goes.

    Raises:
        InputError: Nobody knows the name, an archive is not what it should be, or the folder holds
            something else.
        RunError: An archive cannot be had now, or the disk is full.
    """
    folder = folder_of(called or name, root)
    if os.sep in called:
        raise InputError(f"--as {called}", "is no name", "name the folder with --root")
    wishes = wishes or Wishes()
    recipe = plugins.find("datasets", name)
    if isinstance(recipe, Recipe):
        return preparing.prepare(recipe, name, folder, wishes, reporter)
    if wishes != Wishes():
        raise InputError(name, "is made from nothing that is given", "leave the options out")
    return Path(recipe(folder))


def folder_of(name: str, root: Path | None = None) -> Path:
    """Where a dataset lies once it is prepared."""
    return (root or home() / "datasets") / name


def _prepared(name: str) -> Path:
    """Where the images of a known dataset are; one that needs nothing is made if it is missing.

    Raises:
        InputError: It is to be prepared first.
    """
    folder = folder_of(name)
    if not (folder / ABOUT).is_file() and isinstance(plugins.find("datasets", name), Recipe):
        why = f"is not prepared below {folder.parent}"
        raise InputError(name, why, f"run: agentclust datasets prepare {name}")
    return folder if (folder / ABOUT).is_file() else prepare(name) / "images"


def _from_any_folder(folder: Path, progress: Progress) -> Dataset:
    """A prepared dataset by its manifest, or else the images of a folder."""
    # a folder that may not be looked into is for `_from_folder` to tell
    about = read_json(folder / ABOUT) if os.path.isfile(folder / ABOUT) else None
    if isinstance(about, dict) and "default" in about:
        return _from_manifest(folder / f"{about['default']}.csv", progress)
    return _from_folder(folder, progress)


def _from_manifest(manifest: Path, progress: Progress) -> Dataset:
    name = str(manifest)
    total = _check_ids(
        name, (row["id"] for row in samples_of(manifest))
    )  # before any image is read
    return _make(name, total, samples_of(manifest), progress)


def from_files(files: Sequence[str | os.PathLike[str]]) -> Dataset:
    """The dataset of these image files; ids are the shortest distinct ends of their paths.

    Raises:
        InputError: No files, one of them twice, or nothing usable among them.
    """
    paths = [_path(os.fspath(file)) for file in files]
    if not paths:
        raise InputError("images", "is an empty list", "pass a folder or the files of images")
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(set(paths)):
        depth += 1
    rows = ({"id": "/".join(path.parts[-depth:]), "file": path} for path in paths)
    total = _check_ids("files", ("/".join(path.parts[-depth:]) for path in paths))
    return _make("files", total, rows, lambda done, total: None)


def _path(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError as error:
        raise InputError(source, f"cannot be read ({error})", "write the whole path") from None


def _from_folder(folder: Path, progress: Progress) -> Dataset:
    images: dict[str, Path] = {}
    others: list[LeftOut] = []
    known = suffixes()
    for file, reason in _walk(folder):
        name = file.relative_to(folder).as_posix()
        suffix = file.suffix.lower()
        if reason or suffix not in known:
            others.append(LeftOut(shown(name), reason or _no_image(suffix)))
        else:
            images[name] = file
    if not images:
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        found = f"{others[0].file}: {others[0].reason}{more}" if others else "no files"
        raise InputError(folder, f"holds no images ({found})", "pass a folder of images")
    rows = ({"id": name, "file": file} for name, file in images.items())
    return _make(str(folder), len(images), rows, progress, others)


def _no_image(suffix: str) -> str:
    return f"{suffix} is no image format that can be read" if suffix else "a name without a suffix"


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file below the folder that is not hidden, or the reason why it is no file to read."""
    closed: list[tuple[Path, str]] = []

    def close(error: OSError) -> None:
        closed.append((Path(error.filename), f"cannot be listed ({error.strerror})"))

    for parent, folders, files in os.walk(folder, onerror=close):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(parent, name).is_symlink():
                yield Path(parent, name), "a link to a folder: links are not followed"
        yield from ((Path(parent, name), "") for name in sorted(files) if not name.startswith("."))
    yield from closed


def _make(
    name: str,
    total: int,
    rows: Iterable[dict[str, Any]],
    progress: Progress,
    left_out: Sequence[LeftOut] = (),
) -> Dataset:
    """The dataset of these rows, of distinct ids and `total` in number."""
    samples: list[Sample] = []
    problems = list(left_out)
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        for done, (row, found) in enumerate(_probed(pool, rows), 1):
            progress(done, total)
            if isinstance(found, str):
                problems.append(LeftOut(shown(row["id"]), found))
            else:
                samples.append(Sample(**row | found))
    finally:  # who interrupts does not wait for the other images
        pool.shutdown(cancel_futures=True)
    if not samples:
        raise InputError(
            name, f"no usable image among {total} ({problems[0].reason})", "check the files"
        )
    return Dataset(name, tuple(samples), tuple(problems), _fingerprint(samples))


def _probed(
    pool: ThreadPoolExecutor, rows: Iterable[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | str]]:
    """Each row with what `_probe` says of it; few are in memory beside what is made of them."""
    left = iter(rows)
    while window := list(islice(left, WINDOW)):
        images = any("file" in row for row in window)
        found = pool.map(_probe, window) if images else map(_probe, window)
        yield from zip(window, found, strict=True)


def _probe(row: dict[str, Any]) -> dict[str, Any] | str:
    """What the file adds to a row, or the reason why it cannot be used."""
    if "file" not in row:
        return {}
    path = str(row["file"].absolute())
    if shown(path) != path:
        return "its name is not UTF-8: rename it"
    try:
        sha256, size = probe(row["file"])
    except ImageProblem as problem:
        return problem.why
    return {"sha256": sha256, "size": size}


def _check_ids(name: str, ids: Iterable[str]) -> int:
    """How many ids there are; no two of them may be the same."""
    seen = set[str]()
    for sample_id in ids:
        if sample_id in seen:
            raise InputError(name, f"id {sample_id!r} stands there twice", "make ids distinct")
        seen.add(sample_id)
    return len(seen)


def _fingerprint(samples: Iterable[Sample]) -> str:
    """Digest of the ids and contents, whatever the folder is called."""
    digest = hashlib.sha256()
    for sample in samples:
        parts = (sample.id, sample.sha256, sample.caption or "", sample.raw_label or "")
        digest.update(json.dumps(parts).encode())
    return digest.hexdigest()
