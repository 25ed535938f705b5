"""The engine of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

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


@contextmanager
def opened(place: Place, reporter: Reporter) -> Iterator[Local]:
    """The engine, which knows no other place than here.

    Raises:
        InputError: Another place is named.
    """
    if replace(place, engine="") != Place(""):
        why = "means nothing to models in this process"
        raise InputError("--address, --workers, --worker-cpus or --worker-gpus", why,
                         "add --engine ray")  # fmt: skip
    yield Local()
