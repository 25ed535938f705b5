"""The run directory: a folder a person can read, append-only, resumable after any kill.

It knows files, not models. Whoever kills the process loses at most the answers in flight.
"""

from __future__ import annotations

import csv
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jsonlines
from filelock import FileLock, Timeout

from agentclust import prompts
from agentclust.config import RunConfig
from agentclust.errors import InputError, RunError
from agentclust.journal import Rows, cannot_write, parsed_row, read_json, write_json
from agentclust.prompts import Template
from agentclust.types import Clustering, Dataset, LeftOut, Sample, Usage

FORMAT = 1
UNBEGUN = {".lock", "samples.jsonl", "run.part"}  # what stands there before the first run.json
VERSIONS_OF = ("agentclust", "langchain-core", "langchain-openai", "llama-cpp-python", "torch",
               "transformers", "scikit-learn")  # fmt: skip


class Run:
    """An open run directory. Use it as a context manager: it holds a lock."""

    def __init__(self, folder: Path, lock: FileLock, state: dict[str, Any]) -> None:
        self.folder, self.state = folder, state
        self.config = RunConfig(**state["config"])
        self._lock = lock
        self._open: dict[Path, Rows] = {}

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for rows in self._open.values():
            rows.close()
        self._lock.release()

    @property
    def attempt(self) -> Path:
        """The folder of the current attempt."""
        return self.folder / str(self.state["attempt"])

    def rows(self, name: str, key: str = "id") -> Rows:
        """The JSON Lines file `name`, relative to the run."""
        file = self.folder / name
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
        """The template `name`: the run's own copy, made when it is first used."""
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
        return prompts.load(name, copies)

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
    return Run(folder, lock, read_state(folder))  # as the process before has left it


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


def read_state(folder: Path) -> dict[str, Any]:
    """What run.json says.

    Raises:
        InputError: The folder is no run, or one of another format.
    """
    state = read_json(folder / "run.json")
    if not isinstance(state, dict) or "config" not in state:
        raise InputError(folder, "is no run directory (no run.json)", "pass the folder of a run")
    if state.get("format") != FORMAT:
        raise InputError(
            folder, f"has format {state.get('format')}, not {FORMAT}", "use a matching agentclust"
        )
    return state


def read_samples(folder: Path) -> tuple[tuple[Sample, ...], tuple[LeftOut, ...]]:
    """The samples of a run and the files that were left out."""
    samples, left_out = [], []
    with jsonlines.open(folder / "samples.jsonl") as stream:
        for row in stream:
            if "reason" in row:
                left_out.append(LeftOut(row["file"], row["reason"]))
            else:
                file = Path(row["path"]) if row["path"] else None
                given = {name: row.get(name) for name in ("caption", "raw_label")}
                samples.append(Sample(row["id"], file, row["sha256"], tuple(row["size"]), **given))
    return tuple(samples), tuple(left_out)


def read_rows(folder: Path, step: str) -> dict[str, dict[str, Any]]:
    """The rows a step of the current attempt has written so far, by sample id; for reading only."""
    file = folder / str(read_state(folder)["attempt"]) / f"{step}.jsonl"
    if not file.exists():
        return {}
    rows = map(parsed_row, file.read_bytes().splitlines(keepends=True))
    return {row["id"]: row for row in rows if row is not None}


def read_usage(folder: Path) -> dict[str, Usage]:
    """What each step of a run cost."""
    total: dict[str, Usage] = {}
    file = folder / "usage.jsonl"
    if file.exists():
        for line in file.read_bytes().splitlines(keepends=True):
            row = parsed_row(line)
            if row is not None:
                step = str(row.pop("step"))
                total[step] = total.get(step, Usage()) + Usage(**row)
    return total


def read_clustering(folder: Path) -> Clustering:
    """The result of a run.

    Raises:
        InputError: The folder is no run, or has no result yet.
    """
    import numpy as np

    state = read_state(folder)
    table = folder / "assignments.csv"
    found = read_json(folder / str(state["attempt"]) / "clusters.json")
    if not table.exists() or found is None:
        raise InputError(
            folder, f"has no result yet (status: {state['status']})", f"agentclust resume {folder}"
        )
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return Clustering(
        criterion=state["config"]["criterion"],
        method=state["config"]["method"],
        ids=tuple(row["id"] for row in rows),
        files=tuple(row["path"] for row in rows),
        labels_=np.array([int(row["cluster"]) for row in rows], dtype=np.int64),
        names=tuple(found["names"]),
        confidences=np.array([float(row["confidence"]) for row in rows], dtype=np.float64),
        run=folder,
    )


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
        "path": str(sample.file.absolute()) if sample.file else "",
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
