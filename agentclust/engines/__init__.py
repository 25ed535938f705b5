"""Where models work: in this process, or on other machines. It knows no runs.

An engine gives what answers, captions and embeds; who uses that does not see where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from langchain_core.language_models import BaseChatModel

from agentclust import plugins
from agentclust.captioners import Captioner
from agentclust.config import ModelConfig
from agentclust.embedders import Embedder, Kind
from agentclust.models.answering import Answerer
from agentclust.progress import Reporter


@dataclass(frozen=True)
class Place:
    """Where the models of a call shall work.

    Attributes:
        engine: ``local``, ``ray``, or one that is installed (entry points ``agentclust.engines``).
        address: The head of a cluster; empty where the engine shall make do with this machine.
        workers: How many times a model is loaded at most; by default as often as there is room.
        worker_cpus: CPUs that each takes.
        worker_gpus: GPUs that each takes, or the share of one.
    """

    engine: str = "local"
    address: str = ""
    workers: int | None = None
    worker_cpus: float | None = None
    worker_gpus: float | None = None


class Engine(Protocol):
    """Builds models, each as often as the engine sees fit.

    Its class has `opened(place, reporter)` and `held(place)`, as the functions of these names here.
    """

    def chat(self, config: ModelConfig, seed: int = 0) -> BaseChatModel | Answerer:
        """The chat model of a config, as `agentclust.models.load_model` knows it."""
        ...

    def captioner(self, name: str) -> Captioner | None:
        """The captioner of that name; None where it names none, so it is a chat model."""
        ...

    def embedder(self, name: str, of: Kind | None = None) -> Embedder:
        """The embedder of that name, as `agentclust.embedders.load_embedder` knows it."""
        ...


@contextmanager
def held(place: Place) -> Iterator[Place]:
    """The place as processes that are begun from this one reach it, kept up until the end."""
    with plugins.find("engines", place.engine).held(place) as there:
        yield there


@contextmanager
def opened(place: Place, reporter: Reporter) -> Iterator[Engine]:
    """The engine of a place, closed at the end.

    Raises:
        InputError: Nobody knows it, or the place is not there.
        MissingExtra: It needs an optional dependency that is not installed.
    """
    with plugins.find("engines", place.engine).opened(place, reporter) as engine:
        yield engine
