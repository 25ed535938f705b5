"""Beginning a run in a folder, and opening one again: who holds it, what run.json says first."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jsonlines
from filelock import FileLock, Timeout

from agentclust.config import RunConfig
from agentclust.errors import InputError, RunError
from agentclust.files.journal import cannot_write
from agentclust.run import Run, now, slug
from agentclust.run.record import FORMAT, SAMPLES, read_state
from agentclust.types import Dataset, Sample

UNBEGUN = {".lock", SAMPLES, "run.part"}  # what stands there before the first run.json
VERSIONS_OF = ("agentclust", "langchain-core", "langchain-openai", "llama-cpp-python", "torch",
               "transformers", "scikit-learn")  # fmt: skip


def create(folder: Path, config: RunConfig, dataset: Dataset) -> Run:
    """Begin a run in a new or empty folder.

    Raises:
        InputError: The folder holds something already, or cannot be made.
        RunError: The disk is full, or another process begins a run there.
    """
    must_be_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot be made ({error.strerror})"
        raise InputError(folder, why, "pass another --out") from None
    lock = _locked(folder)
    try:
        return _begin(folder, lock, config, dataset)
    except BaseException:
        lock.release()
        raise


def _begin(folder: Path, lock: FileLock, config: RunConfig, dataset: Dataset) -> Run:
    if (folder / "run.json").exists():  # begun and ended since it was found to be free
        raise InputError(folder, "is not empty", "resume it")
    try:
        with jsonlines.open(folder / SAMPLES, "w", compact=True) as stream:
            stream.write_all(_sample_row(sample) for sample in dataset.samples)
            stream.write_all({"file": out.file, "reason": out.reason} for out in dataset.left_out)
    except OSError as error:
        raise cannot_write(folder, error) from None
    run = Run(folder, lock, {"config": config.model_dump(mode="json")})
    first = {
        "folder": f"01-{slug(config.criterion)}",
        "criterion": config.criterion,
        "asked": config.criterion,
        "n_clusters": config.n_clusters,
        "by": "ictc" if config.method == "agent" else config.method,
        "why": "the criterion as it was given",
        "of": "",
        "call": "",
    }
    run.update(
        format=FORMAT,
        status="waiting",
        reason="",
        attempt=first["folder"],
        attempts=[first],
        result="",
        created=now(),
        versions=_versions(),
        dataset={
            "name": dataset.name,
            "n_samples": len(dataset),
            "left_out": len(dataset.left_out),
            "fingerprint": dataset.fingerprint,
        },
        prompts={},
        notes=[],
        fallbacks=[],
    )
    return run


def must_be_free(folder: Path) -> None:
    """Check that a run can begin in this folder.

    Raises:
        InputError: It is no folder, or holds something already.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, "is a file, not a folder", "pass another --out")
    found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if ".lock" in found and found <= UNBEGUN:
        return  # a process was killed before it had begun a run here
    if found:
        todo = "resume it" if "run.json" in found else "pass another --out"
        raise InputError(folder, "is not empty", todo)


def open_run(folder: Path) -> Run:
    """Open a run to go on with it; the lock is held until it is closed.

    Raises:
        InputError: The folder is no run, or one of another format.
        RunError: Another process works on it.
    """
    read_state(folder)
    lock = _locked(folder)
    try:
        return Run(folder, lock, read_state(folder))  # as the process before has left it
    except BaseException:
        lock.release()
        raise


def is_open(folder: Path) -> bool:
    """Whether a process is working on the run."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that nobody can write
        return False
    lock.release()
    return False


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            folder, "another process is working on this run", "wait for it, or stop it"
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from None
    return lock


def _sample_row(sample: Sample) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": sample.id,
        "path": os.path.abspath(sample.file) if sample.file else "",
        "sha256": sample.sha256,
        "size": list(sample.size),
    }
    given = {"caption": sample.caption, "raw_label": sample.raw_label}
    return row | {name: value for name, value in given.items() if value is not None}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONS_OF:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
