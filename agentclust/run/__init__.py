"""The run directory: a folder a person can read, append-only, resumable after any kill.

It knows files, not models. Whoever kills the process loses at most the answers in flight.
"""

from __future__ import annotations

import csv
import re
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import ValidationError

from agentclust import prompts
from agentclust.config import RunConfig
from agentclust.errors import InputError
from agentclust.files.journal import Rows, cannot_write, read_json, write_json
from agentclust.files.known import Places
from agentclust.prompts import Template
from agentclust.run.record import attempt_of, read_samples, read_usage
from agentclust.types import Sample, Usage


class Run:
    """An open run directory. Use it as a context manager: it holds a lock."""

    def __init__(self, folder: Path, lock: FileLock, state: dict[str, Any]) -> None:
        self.folder, self.state = folder, state
        self.call = ""  # of the agent's tool that is at work
        try:
            self.config = RunConfig(**state["config"])
        except (TypeError, ValidationError):
            why = "does not hold the settings of a run"
            raise InputError(folder / "run.json", why, "restore the file") from None
        self._lock = lock
        self._open: dict[Path, Rows] = {}
        self._opening = threading.Lock()
        self._places = Places()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.put_away()
        self._lock.release()

    def put_away(self) -> None:
        """Close the files of rows and forget what they hold; each is read again where it is used.

        Of very many samples, where each row begins takes as much memory as the samples do.
        """
        with self._opening:
            for rows in self._open.values():
                rows.close()
            self._open, self._places = {}, Places()

    @property
    def attempt(self) -> Path:
        """The folder of the current attempt."""
        return self.folder / str(self.state["attempt"])

    @property
    def criterion(self) -> str:
        """What the current attempt groups by, as it was refined or as a person said it."""
        return str(self.about()["criterion"])

    @property
    def n_clusters(self) -> int | Literal["auto"]:
        """How many clusters the current attempt shall have."""
        found = self.about()["n_clusters"]
        return found if isinstance(found, int) else "auto"

    def about(self, attempt: str = "") -> dict[str, Any]:
        """What run.json says of an attempt, by default of the current one."""
        return attempt_of(self.state, attempt)

    def begun(self) -> dict[str, Any] | None:
        """What run.json says of the attempt that the tool at work has begun; None before that."""
        known = self.state["attempts"] if self.call else ()
        return next((about for about in known if about["call"] == self.call), None)

    def base(self) -> str:
        """The attempt that the tool at work begins from, also where it was killed after that."""
        begun = self.begun()
        return str(begun["of"] if begun else self.state["attempt"])

    def begin(self, why: str, keep: Sequence[str] = (), **changes: Any) -> str:
        """Begin another attempt and make it the current one.

        A tool that is run again after a kill goes on with the attempt that it had begun.

        Args:
            why: What it tries, for the report.
            keep: Steps whose rows it takes over from the current attempt.
            changes: Where it differs: the ``criterion`` of its steps, what was ``asked`` for,
                ``n_clusters``, or what it is grouped ``by``.

        Returns:
            Its folder's name.
        """
        before, begun = self.about(), self.begun()
        if begun:
            self.turn_to(begun["folder"])
            return str(begun["folder"])
        about = before | changes | {"why": why, "of": before["folder"], "call": self.call}
        about["folder"] = f"{len(self.state['attempts']) + 1:02d}-{slug(about['criterion'])}"
        folder = self.folder / about["folder"]
        try:
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed right here
            folder.mkdir()
            for rows in (self.attempt / f"{step}.jsonl" for step in keep):
                if rows.exists():
                    shutil.copyfile(rows, folder / rows.name)
        except OSError as error:
            raise cannot_write(folder, error) from None
        self.update(attempt=about["folder"], attempts=[*self.state["attempts"], about])
        return str(about["folder"])

    def turn_to(self, attempt: str) -> None:
        """Make an earlier attempt the current one."""
        self.update(attempt=self.about(attempt)["folder"])

    def rows(self, name: str, key: str | None = "id") -> Rows:
        """The JSON Lines file `name`, relative to the run."""
        file = self.folder / name
        with self._opening:
            if file not in self._open:
                self._open[file] = Rows(file, key, self._places)
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

    def read_of(self, attempt: str, name: str) -> Any:
        """A JSON file of any attempt, None where it is not there."""
        return read_json(self.folder / attempt / name)

    def write_of(self, attempt: str, name: str, value: Any) -> None:
        """Write a JSON file of any attempt at once."""
        write_json(self.folder / attempt / name, value)

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
        self.rows("usage.jsonl", key=None).append({"step": step} | _as_row(usage))

    def usage(self) -> dict[str, Usage]:
        """What each step cost, over all sessions of this run."""
        return read_usage(self.folder)

    def samples(self) -> tuple[Sample, ...]:
        """The samples, as they were when the run began."""
        samples = read_samples(self.folder)
        for sample in samples:
            self._places.of(sample.id)
        return samples

    def export(self, assignments: Iterable[Mapping[str, Any]], names: Sequence[str]) -> None:
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
        self.update(clusters=list(names))


def slug(text: str) -> str:
    """A criterion as a folder name: lower-case words and hyphens, at most 40 characters."""
    words = re.findall(r"\w+", text.lower())
    return "-".join(words)[:40].rstrip("-") or "criterion"


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _as_row(usage: Usage) -> dict[str, Any]:
    row = {name: getattr(usage, name) for name in Usage.__slots__}
    return row | {"seconds": round(usage.seconds, 4)}
