"""The images of a result in folders named after their groups: copied, linked or moved.

What is to be done is written down first, all of it; how far it is can be seen on the disk. So
whoever kills the process at any moment can go on with the same call, or take all of it back.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from agentclust.errors import InputError, RunError
from agentclust.export import must_be_empty
from agentclust.export.names import apart, safe_file, safe_name, same
from agentclust.files.journal import cannot_write, read_json, write_json
from agentclust.types import Clustering

By = Literal["copy", "link", "move"]
JOURNAL = ".agentclust-export.json"
LOCK = ".agentclust-export.lock"
PART = ".agentclust-export.part"  # a copy that is not complete
OURS = {JOURNAL, LOCK, PART, JOURNAL.replace(".json", ".part")}
FORMAT = 1
UNASSIGNED = "unassigned"


@dataclass(frozen=True, slots=True)
class Step:
    """One image and its place below the export's folder, both as text."""

    source: str
    target: str


@dataclass(frozen=True)
class Plan:
    """What an export into folders does.

    Attributes:
        by: How.
        run: The run directory, as text.
        steps: One an image, in the order of the samples.
        imageless: Samples that have no image.
    """

    by: By
    run: str
    steps: tuple[Step, ...]
    imageless: int

    def sizes(self) -> dict[str, int]:
        """Images by folder, in the order of the folders' first images."""
        counts: dict[str, int] = {}
        for step in self.steps:
            folder = step.target.partition("/")[0]
            counts[folder] = counts.get(folder, 0) + 1
        return counts


def plan(clustering: Clustering, by: By) -> Plan:
    """Which image goes where.

    Raises:
        InputError: The result has no images.
    """
    folders = _folders(clustering.names)
    taken: dict[str, set[str]] = {folder: set() for folder in folders}
    steps = []
    for i, file in enumerate(clustering.files):
        if file:
            folder = folders[clustering.labels_[i]]
            stem, suffix = safe_file(Path(file).name, "image")
            if same(f"{stem}{suffix}") in taken[folder]:  # the folders that it lay in tell it apart
                stem, suffix = safe_file(clustering.ids[i].replace("/", "-"), "image")
            name = apart(stem, suffix, taken[folder])
            taken[folder].add(same(name))
            steps.append(Step(file, f"{folder}/{name}"))
    if not steps:
        raise InputError(clustering.run, "holds no images, only captions", "use --to csv")
    run = str(clustering.run.absolute())
    return Plan(by, run, tuple(steps), len(clustering) - len(steps))


def _folders(names: tuple[str, ...]) -> list[str]:
    """A folder for each group, and the last one for what is in none."""
    found: list[str] = []
    for name in (UNASSIGNED, *names):
        found.append(apart(safe_name(name, "group"), "", {same(other) for other in found}))
    return [*found[1:], found[0]]


def carry_out(plan: Plan, out: Path, advance: Callable[[], None] = lambda: None) -> Path:
    """Do what is planned, or what is left of it.

    Args:
        plan: The plan.
        out: A folder that is new, empty, or that a killed process has begun to fill so.
        advance: Called for each image.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds something else, or an image is gone; nothing was done.
        RunError: An image cannot be written, or something stands in its place.
    """
    known = read_json(out / JOURNAL)
    wanted = _journal_of(plan)
    if known is None:
        if not _only_ours(out):
            must_be_empty(out)
    elif known != wanted:
        todo = "take it back with --undo, or pass another --out"
        raise InputError(out, "holds another export", todo)
    _check_sources(plan, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            write_json(out / JOURNAL, wanted)
            for step in plan.steps:
                target = out / step.target
                target.parent.mkdir(exist_ok=True)
                _put(Path(step.source), target, plan.by, out / PART)
                advance()
    except OSError as error:
        raise cannot_write(out, error) from None
    return out


def undo(out: Path, advance: Callable[[], None] = lambda: None) -> list[str]:
    """Take an export into folders back, also one that was cut off.

    A copy or link is removed where its image is still there unchanged; a moved image goes back
    where it came from. Whatever else is in the folder stays.

    Args:
        out: The folder.
        advance: Called for each image.

    Returns:
        What could not be taken back, a sentence each; without any, the folder is gone if nothing
        else was in it.

    Raises:
        InputError: The folder holds no export.
        RunError: A file cannot be removed.
    """
    known = read_json(out / JOURNAL)
    if known is None:
        if _only_ours(out) and out.is_dir():
            _remove_ours(out)  # killed before its first step, or at its last
            return []
        raise InputError(out, "holds no export into folders", "pass its --out")
    if known.get("format") != FORMAT:
        raise InputError(out / JOURNAL, "has another format", "use a matching agentclust")
    kept = []
    try:
        with _locked(out):
            (out / PART).unlink(missing_ok=True)
            for source, place in known["steps"]:
                problem = _take_back(Path(source), out / place, known["by"])
                kept += [problem] if problem else []
                advance()
            for folder in {place.partition("/")[0] for _, place in known["steps"]}:
                with suppress(OSError):  # something else is in it
                    (out / folder).rmdir()
            if not kept:
                (out / JOURNAL).unlink()
        if not kept:
            _remove_ours(out)
    except OSError as error:
        raise cannot_write(out, error) from None
    return kept


def size_of(out: Path) -> int:
    """How many images an export's journal names; 0 without one."""
    return len((read_json(out / JOURNAL) or {"steps": ()})["steps"])


def _journal_of(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "run": plan.run,
        "by": plan.by,
        "steps": [[step.source, step.target] for step in plan.steps],
    }


def _only_ours(out: Path) -> bool:
    """Whether nothing is there but what a process leaves that is killed before its first step."""
    return not out.is_dir() or {entry.name for entry in out.iterdir()} <= OURS


def _remove_ours(out: Path) -> None:
    for name in OURS:
        (out / name).unlink(missing_ok=True)
    with suppress(OSError):  # something else is in it
        out.rmdir()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(out, "another process is working on this export", "wait for it") from None
    try:
        yield
    finally:
        lock.release()


def _check_sources(plan: Plan, out: Path) -> None:
    """Check that there is something to take for each step that is left."""
    moves = plan.by == "move"
    for step in plan.steps:
        source = Path(step.source)
        if moves and source.is_symlink():
            raise InputError(source, "is a link, which is not moved", "copy or link instead")
        if not source.is_file() and not (moves and (out / step.target).is_file()):
            raise InputError(source, "is gone", "restore the image; nothing was done now")


def _put(source: Path, target: Path, by: By, part: Path) -> None:
    """Bring one image to its place; what is there already from before is left as it is."""
    if os.path.lexists(target):
        if not _is_done(source, target, by):
            why = "stands in the place of an image"
            raise RunError(target, why, "move it away and call again, or take back with --undo")
    elif by == "link":
        target.symlink_to(source)
    elif by == "copy" or not _linked(source, target):
        shutil.copy2(source, part)
        if not _linked(part, target):  # a file system without hard links
            part.rename(target)
        part.unlink(missing_ok=True)
    if by == "move":
        source.unlink(missing_ok=True)


def _linked(source: Path, target: Path) -> bool:
    """Give a file a second name, which fails where that name is taken; False where it cannot be."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _is_done(source: Path, target: Path, by: By) -> bool:
    """Whether what stands in an image's place is that image."""
    if by == "link":
        return target.is_symlink() and target.readlink() == source
    if target.is_symlink() or not target.is_file():
        return False
    return (by == "move" and not source.exists()) or _equal(source, target)


def _equal(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other, shallow=False)


def _take_back(source: Path, target: Path, by: By) -> str:
    """Undo one step where it was done; says why where it cannot be."""
    if not os.path.lexists(target):
        return ""
    if by == "move" and not os.path.lexists(source):
        source.parent.mkdir(parents=True, exist_ok=True)
        if not _linked(target, source):
            part = source.with_name(f".{source.name}.agentclust-part")
            shutil.copy2(target, part)
            part.rename(source)
    elif not _is_done(source, target, by):
        gone = "" if os.path.lexists(source) else " or its image is gone"
        return f"{target} stays: it was changed{gone}"
    target.unlink()
    return ""
