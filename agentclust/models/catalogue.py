"""The small catalogue of models that are known by a short name.

It knows where a model comes from and where it lies; nothing of downloading or loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentclust.cache import home
from agentclust.config import ModelConfig
from agentclust.errors import InputError


class Part(NamedTuple):
    """One member of one wheel."""

    package: str
    version: str
    member: str


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Packages(_Data):
    """Packages that carry one file in parts."""

    name: str = Field(description="name of a package, {n} being the part's number from 1")
    version: str
    member: str = Field(description="path of the bytes inside the wheel, with {n}")
    count: int = Field(ge=1)

    def parts(self) -> list[Part]:
        """The parts in the order in which they make the file."""
        numbers = range(1, self.count + 1)
        return [Part(self.name.format(n=n), self.version, self.member.format(n=n)) for n in numbers]


class Weights(_Data):
    """What to fetch: one file of the hub, or a whole repository where no file is named."""

    repo: str
    revision: str = "main"
    file: str | None = None
    size: int | None = Field(None, description="bytes; None where not known beforehand")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    packages: Packages | None = None

    @model_validator(mode="after")
    def _packages_are_checked(self) -> Self:
        if self.packages and not (self.sha256 and self.size):
            raise ValueError("what packages carry needs a size and a SHA-256")
        return self


class Entry(_Data):
    """One model of the catalogue."""

    name: str
    role: Literal["llm", "vlm"]
    backend: Literal["llama-cpp", "transformers"]
    licence: str
    note: str
    verified: bool = Field(description="its bytes were hashed and it was run by this project")
    weights: Weights
    mmproj: Weights | None = Field(None, description="vision projector")
    settings: Mapping[str, Any] = Field({}, description="of ModelConfig, unless given otherwise")

    @property
    def path(self) -> Path:
        """Where the weights lie once they are pulled."""
        return models_folder() / (self.name if self.weights.file is None else f"{self.name}.gguf")

    @property
    def mmproj_path(self) -> Path:
        """Where the vision projector lies once it is pulled."""
        return models_folder() / f"{self.name}.mmproj.gguf"

    @property
    def provenance(self) -> Path:
        """The JSON file that says where each of its files came from."""
        return models_folder() / f"{self.name}.json"

    @property
    def size(self) -> int | None:
        """Bytes to fetch in all, None where not known beforehand."""
        sizes = [w.size for w in (self.weights, self.mmproj) if w]
        return None if None in sizes else sum(s for s in sizes if s)

    @property
    def installed(self) -> bool:
        """Whether all of it is here: a file gets its name only after its hash was right."""
        return self.path.exists() and (self.mmproj is None or self.mmproj_path.exists())


def models_folder() -> Path:
    """Where pulled models are kept."""
    return home() / "models"


@cache
def entries() -> Mapping[str, Entry]:
    """The catalogue by name, the better models of a role first."""
    text = files("agentclust.models").joinpath("catalogue.yaml").read_text("utf-8")
    return {name: Entry(name=name, **values) for name, values in yaml.safe_load(text).items()}


def installed() -> list[str]:
    """Names of the models that are on this machine, the better ones of a role first."""
    return [name for name, entry in entries().items() if entry.installed]


def path_of(name: str) -> Path | None:
    """Where a model of the catalogue lies, None if it is unknown or not on this machine."""
    entry = entries().get(name)
    return entry.path if entry and entry.installed else None


def default_llm() -> str | None:
    """The best language model of the catalogue that is on this machine, if any."""
    return next((name for name in installed() if entries()[name].role == "llm"), None)


def located(entry: Entry, config: ModelConfig) -> ModelConfig:
    """The config with the entry's files in place of its name.

    Raises:
        InputError: The model was not pulled.
    """
    if not entry.installed:
        raise InputError(
            entry.name, "is not on this machine", f"run: agentclust models pull {entry.name}"
        )
    found: dict[str, Any] = dict(entry.settings)
    if entry.mmproj:
        found["mmproj"] = entry.mmproj_path
    chosen = {key: value for key, value in found.items() if key not in config.model_fields_set}
    return config.model_copy(update={**chosen, "model": f"{entry.backend}:{entry.path}"})
