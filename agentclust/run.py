"""The run directory: a folder a person can read, append-only, resumable after any kill.

It knows files, not models. Whoever kills the process loses at most the answers in flight.
"""

from __future__ import annotations

import csv
import os
import platform
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jsonlines
from filelock import FileLock, Timeout
from pydantic import ValidationError

from agentclust import prompts
from agentclust.config import RunConfig
from agentclust.errors import InputError, RunError
from agentclust.journal import Rows, cannot_write, read_json, write_json
from agentclust.prompts import Template
from agentclust.record import FORMAT, read_samples, read_state, read_usage
from agentclust.types import Dataset, Sample, Usage

UNBEGUN = {".lock", "samples.jsonl", "run.part"}  # what stands there before the first run.json
VERSIONS_OF = ("agentclust", "langchain-core", "langchain-openai", "llama-cpp-python", "torch",
               "transformers", "scikit-learn")  # fmt: skip


class Run:
    """An open run directory. Use it as a context manager: it holds a lock."""

    def __init__(self, folder: Path, lock: FileLock, state: dict[str, Any]) -> None:
        self.folder, self.state = folder, state
        try:
            self.config = RunConfig(**state["config"])
        except (TypeError, ValidationError):
            why = "does not hold the settings of a run"
            raise InputError(folder / "run.json", why, "restore the file") from None
        self._lock = lock
        self._open: dict[Path, Rows] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for rows in list(self._open.values()):
            rows.close()
        self._lock.release()

    @property
    def attempt(self) -> Path:
        """The folder of the current attempt."""
        return self.folder / str(self.state["attempt"])

    def rows(self, name: str, key: str = "id") -> Rows:
        """The JSON Lines file `name`, relative to the run."""
        file = self.folder / name
        with self._opening:
            if file not in self._open:
                self._open[file] = Rows(file, key)
            return self._open[file]

    def step_rows(self, step: str) -> Rows:
        """The rows of a step of the current attempt."""
        return self.rows(f"{self.state['attempt']}/{step}.jsonl")

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file of the current attempt at once."""
        write_json(self.attempt / name, value)

    def read(self, name: str) -> Any:
        """A JSON file of the current attempt, None where it is not there yet."""
        return read_json(self.attempt / name)

    def update(self, **values: Any) -> None:
        """Change run.json at once."""
        self.state |= values
        write_json(self.folder / "run.json", self.state)

    def template(self, name: str) -> Template:
        """The template `name`: the run's own copy, made when it is first used.

        Raises:
            InputError: There is no such template, or the copy is not what the run began with.
            RunError: The copy cannot be written.
        """
        copies = self.folder / "prompts"
        copy = copies / f"{name}.yaml"
        if name not in self.state["prompts"]:
            template = prompts.load(name, self.config.prompts)
            try:
                copies.mkdir(exist_ok=True)
                copy.write_bytes(prompts.file_of(name, self.config.prompts).read_bytes())
            except OSError as error:
                raise cannot_write(copy, error) from None
            known = {"version": template.version, "sha256": template.sha256}
            self.update(prompts=self.state["prompts"] | {name: known})
        template = prompts.load(name, copies)
        if template.sha256 != self.state["prompts"][name]["sha256"]:
            why = "was changed, and the run began with another text"
            raise InputError(copy, why, "restore it, or start another run")
        return template

    def note(self, text: str) -> None:
        """Add a sentence that a person should read beside the result."""
        if text not in self.state["notes"]:
            self.update(notes=[*self.state["notes"], text])

    def record(self, step: str, usage: Usage) -> None:
        """Enter a paid answer in the ledger."""
        self.rows("usage.jsonl", key="").append({"step": step} | _as_row(usage))

    def usage(self) -> dict[str, Usage]:
        """What each step cost, over all sessions of this run."""
        return read_usage(self.folder)

    def samples(self) -> tuple[Sample, ...]:
        """The samples, as they were when the run began."""
        return read_samples(self.folder)[0]

    def export(self, assignments: Sequence[Mapping[str, Any]]) -> None:
        """Write assignments.csv at once: id, path, cluster, name, confidence."""
        target = self.folder / "assignments.csv"
        part = target.with_suffix(".part")
        try:
            with part.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(("id", "path", "cluster", "name", "confidence"))
                for row in assignments:
                    writer.writerow(
                        (row["id"], row["path"], row["cluster"], row["name"], row["confidence"])
                    )
            part.replace(target)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise cannot_write(target, error) from None


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
        with jsonlines.open(folder / "samples.jsonl", "w", compact=True) as stream:
            stream.write_all(_sample_row(sample) for sample in dataset.samples)
            stream.write_all({"file": out.file, "reason": out.reason} for out in dataset.left_out)
    except OSError as error:
        raise cannot_write(folder, error) from None
    run = Run(folder, lock, {"config": config.model_dump(mode="json")})
    run.update(
        format=FORMAT,
        status="waiting",
        reason="",
        attempt=f"01-{slug(config.criterion)}",
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


def slug(text: str) -> str:
    """A criterion as a folder name: lower-case words and hyphens, at most 40 characters."""
    words = re.findall(r"\w+", text.lower())
    return "-".join(words)[:40].rstrip("-") or "criterion"


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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


def _as_row(usage: Usage) -> dict[str, Any]:
    row = {name: getattr(usage, name) for name in Usage.__slots__}
    return row | {"seconds": round(usage.seconds, 4)}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONS_OF:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
