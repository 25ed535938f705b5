"""Preparing a dataset by its recipe: archives are found or fetched, checked, unpacked and read.

Everything is written into a hidden folder that gets the dataset's name at the end: what fails, for
whatever reason, leaves no half of a dataset.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentclust.datasets import archives
from agentclust.datasets.labels import label_list
from agentclust.datasets.recipe import Archive, Picture, Recipe, Source, Wishes
from agentclust.datasets.writing import ABOUT, FORMAT, Written, staged, write
from agentclust.errors import InputError
from agentclust.files.journal import read_json, write_json
from agentclust.files.transfer import Report, shown
from agentclust.progress import Reporter

ARCHIVES = "archives"  # beside the datasets: what was fetched
SAY_EVERY = 10.0  # seconds


def prepare(
    recipe: Recipe, name: str, root: Path, wishes: Wishes, reporter: Reporter | None = None
) -> Path:
    """Prepare a dataset in the folder `root`, or take the one that is already there.

    Args:
        recipe: The dataset.
        name: What it is called.
        root: The folder to make; absent, empty, or prepared before in the same way.
        wishes: What a person asked for.
        reporter: Where progress goes.

    Returns:
        `root`.

    Raises:
        InputError: An archive is not what it should be, or `root` holds something else.
        RunError: An archive cannot be had now, or the disk is full.
    """
    reporter = reporter or Reporter()
    if is_taken(root, name, wishes):
        return root
    try:
        with staged(root) as part, shown(reporter) as report:
            unpacked = part / "unpacked"
            unpacked.mkdir()
            folder, origins = _open(recipe, name, root, wishes, unpacked, report)
            source = Source(folder, wishes.splits or recipe.splits, wishes)
            pictures = _labelled(recipe.read(source), wishes)
            written = write(pictures, part, unpacked, _said(name, reporter))
            _check(written, name, recipe, wishes)
            shutil.rmtree(unpacked)
            default = _default(recipe, written)
            write_json(part / ABOUT, _about(name, recipe, wishes, origins, written, default))
            if written.n_left_out:
                first = "; ".join(written.left_out)
                reporter.say(f"{name}: {written.n_left_out} files are no images: {first}")
    except OSError as error:
        why = f"cannot be read or written ({error.strerror or error})"
        todo = "name a --root you may write to, on a disk with room"
        raise InputError(error.filename or root, why, todo) from None
    return root


def is_taken(root: Path, name: str, wishes: Wishes) -> bool:
    """Whether this very dataset is there already.

    Raises:
        InputError: Something else is there.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    about = read_json(root / ABOUT) or {}
    if about.get("name") != name:
        why = f"holds something other than {name}"
        todo = f"name another --root or --as; if it is what {name} unpacks to, with --from {root}"
        raise InputError(root, why, todo)
    wanted = _decisive(wishes, about["asked"].get("given"))
    if wishes != Wishes() and wanted != about["asked"]:
        why = f"holds {name}, prepared with other options"
        raise InputError(root, why, "name another --root or --as, or remove it")
    return True


def _decisive(wishes: Wishes, given: object) -> dict[str, Any]:
    """What of the wishes decides the content; `given` is None where archives do."""
    asked: dict[str, Any] = {
        name: list(getattr(wishes, name)) for name in ("splits", "labels", "axes")
    }
    asked["classes"] = str(wishes.classes) if wishes.classes else None
    return asked if given is None else asked | {"given": list(wishes.given)}


def _open(
    recipe: Recipe, name: str, root: Path, wishes: Wishes, unpacked: Path, report: Report
) -> tuple[Path, list[dict[str, str]]]:
    """The folder to read from, and the files that it came from."""
    if not recipe.archives:
        if len(wishes.given) != 1:
            raise InputError(name, f"is made of {recipe.needs}", "name it with --from")
        return Path(wishes.given[0]).expanduser(), [{"file": wishes.given[0]}]
    given = [_there(path) for path in wishes.given]
    names = [archive.file for archive in recipe.archives]
    checksums = _checksums(wishes.checksums, names)
    if len(given) == 1 and given[0].is_dir():
        folder = given[0]
        if not any((folder / file).is_file() for file in names):
            return folder, [{"file": str(folder)}]
        given = [folder / file for file in names]
    mine = _by_name(given, names)
    origins = []
    for archive in recipe.archives:
        checksum = checksums.get(archive.file, "")
        if given:
            file, found = _take(archive, mine, checksum, report)
        else:
            file, found = archives.fetch(archive, root.parent / ARCHIVES, checksum, report)
        if found.startswith("sha256") and not (checksum or archive.checksum):
            report(f"{file.name}: was not checked; its own checksum is {found}", 0, 0)
        report(f"{file.name}: unpacking", 0, 0)
        archives.unpack(file, archive.file, unpacked)
        origins.append({"file": archive.file, "url": archive.url, "checksum": found})
    return unpacked, origins


def _take(
    archive: Archive, mine: dict[str, Path], checksum: str, report: Report
) -> tuple[Path, str]:
    """An archive that a person gave, and its checksum."""
    if archive.file not in mine:
        todo = "give all archives with --from, or none and they are fetched"
        raise InputError(archive.file, "is not among what was given", todo)
    file = _there(str(mine[archive.file]))
    report(f"{file.name}: checking", 0, 0)
    return file, archives.verify(file, checksum or archive.checksum)


def _there(path: str) -> Path:
    file = Path(path).expanduser()
    if not file.exists():
        raise InputError(path, "does not exist", "pass --from with an archive or a folder")
    return file


def _by_name(given: list[Path], names: list[str]) -> dict[str, Path]:
    """The given archives by their official names; a single archive may be called anything."""
    if len(given) == len(names) == 1:
        return {names[0]: given[0]}
    for file in given:
        if file.name not in names:
            todo = f"give it one of these names: {', '.join(names)}"
            raise InputError(file, "is none of the dataset's archives", todo)
    return {file.name: file for file in given}


def _checksums(given: tuple[str, ...], names: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        file, _, digest = text.rpartition("=")
        archives.kind_of(digest)
        if file not in names and not (file == "" and len(names) == 1):
            todo = f"write FILE=HEX with one of: {', '.join(names)}"
            raise InputError(f"--checksum {text}", "names no archive of the dataset", todo)
        found[file or names[0]] = digest
    return found


def _labelled(pictures: Iterable[Picture], wishes: Wishes) -> Iterator[Picture]:
    """The pictures with further label axes from files of their own."""
    files: dict[str, dict[str, str]] = {}
    for text in wishes.labels:
        axis, is_file, file = text.partition("=")
        if not (axis and is_file):
            raise InputError(f"--labels {text}", "is no AXIS=FILE", "write location=FILE")
        files[axis] = label_list(Path(file).expanduser())
    used = dict.fromkeys(files, 0)
    for picture in pictures:
        more = {}
        for axis, known in files.items():
            name = picture.source.rpartition("/")[2]
            more[axis] = known.get(picture.source) or known.get(name, "")
            used[axis] += bool(more[axis])
        yield replace(picture, labels={**picture.labels, **more}) if files else picture
    for text in wishes.labels:
        axis, _, file = text.partition("=")
        if not used[axis]:
            raise InputError(file, "knows none of the images", "name them as the archive does")


def _said(name: str, reporter: Reporter) -> Callable[[int], None]:
    """Say now and then how many samples there are."""
    last = time.monotonic()

    def progress(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SAY_EVERY:
            last = time.monotonic()
            reporter.say(f"{name}: {done:,} samples")

    return progress


def _check(written: Written, name: str, recipe: Recipe, wishes: Wishes) -> None:
    if written.left_out and not written.counts:
        why = f"holds no image that can be read ({written.left_out[0]})"
        raise InputError(name, why, "check the files")
    for split in wishes.splits or recipe.splits:
        if not written.counts[split]:
            there = ", ".join(written.counts or recipe.splits) or "none"
            raise InputError(name, f"has no split {split!r}", f"name others: {there}")
    if not written.counts:
        raise InputError(name, "holds no images", "check what --from names")


def _default(recipe: Recipe, written: Written) -> str:
    """The manifest that the dataset's name stands for."""
    if recipe.default in written.manifests:
        return recipe.default
    return "test" if "test" in written.manifests else next(iter(written.manifests))


def _about(
    name: str,
    recipe: Recipe,
    wishes: Wishes,
    origins: list[dict[str, str]],
    written: Written,
    default: str,
) -> dict[str, Any]:
    given = None if recipe.archives else wishes.given
    return {
        "format": FORMAT,
        "name": name,
        "about": recipe.about,
        "agentclust": version("agentclust"),
        "from": origins,
        "asked": _decisive(wishes, given),
        "default": default,
        "splits": dict(written.counts),
        "manifests": dict(written.manifests),
        "axes": list(written.axes),
        "smallest": written.smallest,
        "largest": written.largest,
        "left_out": written.n_left_out,
    }
