"""The engine of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from langchain_core.language_models import BaseChatModel

from agentclust.captioners import Captioner, load_captioner
from agentclust.config import ModelConfig
from agentclust.embedders import Embedder, Kind, load_embedder
from agentclust.engines import Place
from agentclust.errors import InputError
from agentclust.models import load_model
from agentclust.progress import Reporter


class Local:
    """Models in this process, or behind their endpoints."""

    def chat(self, config: ModelConfig, seed: int = 0) -> BaseChatModel:
        """The chat model of a config."""
        return load_model(config, seed)

    def captioner(self, name: str) -> Captioner | None:
        """The captioner of that name, if it names one."""
        return load_captioner(name)

    def embedder(self, name: str, of: Kind | None = None) -> Embedder:
        """The embedder of that name."""
        return load_embedder(name, of)

    @classmethod
    @contextmanager
    def opened(cls, place: Place, reporter: Reporter) -> Iterator[Self]:
        """The engine, which knows no other place than here.

        Raises:
            InputError: Another place is named.
        """
        with cls.held(place):
            yield cls()

    @classmethod
    @contextmanager
    def held(cls, place: Place) -> Iterator[Place]:
        """The place itself: every process has its own.

        Raises:
            InputError: Another place is named.
        """
        if place != Place(place.engine):
            given = "--address, --workers, --worker-cpus or --worker-gpus"
            why = "means nothing to models in this process"
            raise InputError(given, why, "add --engine ray")
        yield place
