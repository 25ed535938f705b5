"""A worker: one model, loaded once, in a process of its own on some machine.

What goes wrong in it is given back, not raised: Ray would wrap it into something else.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentclust.captioners import load_captioner
from agentclust.config import ModelConfig
from agentclust.embedders import Kind, load_embedder
from agentclust.errors import AgentclustError
from agentclust.models import load_model
from agentclust.models.answering import Loaded, Question
from agentclust.models.faults import mapped


@dataclass(frozen=True)
class Part:
    """What a worker loads: a chat model where there is a config, else a captioner or embedder.

    Attributes:
        name: Its name, as a person gave it.
        config: Of a chat model.
        seed: Of a chat model.
        embeds: Whether it is an embedder.
        of: What the embedder must embed, if that is given.
    """

    name: str
    config: ModelConfig | None = None
    seed: int = 0
    embeds: bool = False
    of: Kind | None = None


@dataclass(frozen=True)
class Facts:
    """What a worker tells when it has loaded its part.

    Attributes:
        version: Of agentclust there.
        machine: Its name and the process.
        identity: Whatever decides an answer: equal in every worker of a part.
        about: The part's other attributes, by name.
    """

    version: str
    machine: str
    identity: str
    about: dict[str, Any]


@dataclass(frozen=True)
class File:
    """A file of the process that asks.

    Attributes:
        path: Where it lies there, absolute.
        size: Bytes, -1 where it cannot be looked at.
        changed: When it was last changed, whole seconds.
        data: Its bytes, for a worker that has another file at this path, or none.
    """

    path: Path
    size: int
    changed: int
    data: bytes | None = field(default=None, repr=False)

    @classmethod
    def at(cls, path: Path) -> File:
        """The file at a path of this process."""
        path = Path(os.path.abspath(path))
        try:
            about = path.stat()
        except OSError:  # the part says in its own words what is wrong with it
            return cls(path, -1, 0)
        return cls(path, about.st_size, int(about.st_mtime))

    def sent(self) -> File:
        """The file with its bytes."""
        if self.size < 0 or not self.path.is_file():
            return self
        with suppress(OSError):
            return replace(self, data=self.path.read_bytes())
        return self


@dataclass(frozen=True)
class Task:
    """What a worker shall do.

    Attributes:
        items: Requests, texts, or None for each file.
        files: The image of each item, if it has one.
        question: How requests are asked.
    """

    items: Sequence[Any]
    files: Sequence[File | None]
    question: Question | None = None

    def sent(self) -> Task:
        """The task with the bytes of its files."""
        return replace(self, files=[file and file.sent() for file in self.files])


class NotHere:
    """The outcome of a task whose files this machine does not have."""


class Worker:
    """Loads a part and works with it."""

    def load(self, part: Part, cpus: float, gpus: float, folder: str) -> Facts | AgentclustError:
        """Load the part; what it needs relative to `folder` is found where that is here too.

        Args:
            part: What to load.
            cpus: CPUs that are this worker's.
            gpus: GPUs that are.
            folder: The working directory of the process that asks.
        """
        if os.path.isdir(folder):
            os.chdir(folder)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # they may be another's
        machine = f"{platform.node()}, process {os.getpid()}"
        try:
            return self._loaded(part, cpus, gpus, machine)
        except AgentclustError as error:
            error.args = (f"{error} (on {machine})",)
            return error

    def _loaded(self, part: Part, cpus: float, gpus: float, machine: str) -> Facts:
        identity, about = "", dict[str, Any]()
        self._config = part.config
        if part.config is not None:
            config = part.config
            if config.n_threads is None and not gpus:
                config = config.model_copy(update={"n_threads": max(1, int(cpus))})
            self._part: Any = Loaded(load_model(config, part.seed), config)
            identity = self._part.fingerprint
            names = ["in_process", "inward", "batch_size"]
        elif part.embeds:
            self._part = load_embedder(part.name, part.of)
            identity, names = self._part.identity, ["of", "fitted"]
        else:
            self._part = load_captioner(part.name)
            identity, names = self._part.identity, ["cannot_see"]
        about = {name: getattr(self._part, name, ()) for name in names}
        return Facts(version("agentclust"), machine, identity, about)

    def do(self, task: Task) -> Any:
        """What the part makes of the items: answers, captions, or vectors, shape (n, d)."""
        try:
            with at_hand(task.files) as paths:
                return NotHere() if paths is None else self._done(task, paths)
        except AgentclustError as error:
            return error
        except Exception as error:
            if self._config is None:
                raise
            return mapped(error, self._config)

    def _done(self, task: Task, paths: Sequence[Path | None]) -> Any:
        if task.question is not None:
            requests = [
                replace(request, image=path)
                for request, path in zip(task.items, paths, strict=True)
            ]
            return self._answered(task.question, requests)
        if hasattr(self._part, "embed"):
            return self._part.embed([p or i for i, p in zip(task.items, paths, strict=True)])
        return [self._part.caption(path) for path in paths]

    def _answered(self, question: Question, requests: Sequence[Any]) -> list[Any]:
        began = time.perf_counter()
        answers = self._part.answer(question, [self._part.prompt(r) for r in requests])
        seconds = (time.perf_counter() - began) / len(requests)
        return [replace(a, usage=replace(a.usage, seconds=seconds)) for a in answers]


@contextmanager
def at_hand(files: Sequence[File | None]) -> Iterator[list[Path | None] | None]:
    """Where the files lie on this machine; None where one of them is not here.

    A file of this machine is taken for the same if its path, size and time of change are: what
    rsync goes by.
    """
    with tempfile.TemporaryDirectory(prefix="agentclust-") as folder:
        yield _found(files, Path(folder))


def _found(files: Sequence[File | None], folder: Path) -> list[Path | None] | None:
    paths: list[Path | None] = []
    for number, file in enumerate(files):
        if file is None:
            paths.append(None)
        elif file.data is not None:
            own = folder / str(number) / file.path.name  # the name is in what is said of it
            own.parent.mkdir()
            own.write_bytes(file.data)
            paths.append(own)
        elif file.size < 0 or replace(File.at(file.path), path=file.path) == file:
            paths.append(file.path)
        else:
            return None
    return paths
