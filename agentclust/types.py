"""The words of the field as data: Sample, Dataset, Usage, Clustering."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, or what is already known of it. Never holds a true label.

    Attributes:
        id: Unique within the dataset.
        file: The image; None where only a caption or raw label is given.
        sha256: Hex digest of the file's bytes; empty without a file.
        size: Width and height in pixels after EXIF rotation; (0, 0) without a file.
        caption: Given caption: the caption step is not run for it.
        raw_label: Given raw label: the label step is not run for it.
    """

    id: str
    file: Path | None = None
    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    caption: str | None = None
    raw_label: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is no usable sample, and the reason."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """The samples of one run, in a fixed order, and what was left out."""

    name: str
    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True)
class Request:
    """What one call asks a chat model.

    ``system`` is the part shared by every sample of a step; a backend may keep it in its cache.
    """

    system: str
    user: str
    image: Path | None = None
    image_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers cost. Prompt tokens include the cached ones; seconds are those of the calls."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_prompt_tokens + other.cached_prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's text for one request."""

    text: str
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Choice:
    """A distribution over options.

    Attributes:
        probabilities: One float an option, in the options' order, summing to 1; empty where the
            model gave, twice, an answer that is none of the options.
        usage: What the answer cost.
    """

    probabilities: tuple[float, ...]
    usage: Usage = field(default_factory=Usage)

    @property
    def best(self) -> int | None:
        """Index of the likeliest option, None without a usable answer."""
        return int(np.argmax(self.probabilities)) if self.probabilities else None


@dataclass(frozen=True, slots=True)
class State:
    """What a model has in mind before it answers.

    Attributes:
        data: The hidden state, half precision, little-endian, in base64: rows of a store hold text.
        usage: What reading the prompt cost.
    """

    data: str
    usage: Usage = field(default_factory=Usage)

    @classmethod
    def of(cls, vector: NDArray[np.floating], usage: Usage) -> State:
        """From a hidden state, shape (d,)."""
        return cls(base64.b64encode(vector.astype("<f2").tobytes()).decode(), usage)

    @property
    def vector(self) -> NDArray[np.float32]:
        """The hidden state, shape (d,)."""
        return np.frombuffer(base64.b64decode(self.data), dtype="<f2").astype(np.float32)


@dataclass(frozen=True, slots=True)
class Call:
    """The tool that a model calls, with its arguments.

    Attributes:
        name: The tool; empty where the model answered in plain words.
        args: Its arguments, as the model gave them.
        text: What the model said, where it called no tool.
        usage: What the answer cost.
    """

    name: str
    args: dict[str, Any]
    text: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why one request has no answer."""

    reason: str


@dataclass(frozen=True)
class Clustering:
    """The result of a run, in the manner of a fitted scikit-learn clusterer.

    Attributes:
        criterion: The criterion that was asked for.
        method: The method that gave the result.
        ids: Sample ids, shape (n,).
        files: Image paths as text, empty where a sample has none, shape (n,).
        labels_: Cluster index of each sample, int64, shape (n,); -1 is unassigned.
        names: Cluster names, shape (n_clusters,).
        confidences: Probability of the assignment in 0..1, float64, shape (n,); 0 for unassigned.
        run: The run directory with everything behind the result.
    """

    criterion: str
    method: str
    ids: tuple[str, ...]
    files: tuple[str, ...]
    labels_: NDArray[np.int64]
    names: tuple[str, ...]
    confidences: NDArray[np.float64]
    run: Path

    @property
    def n_clusters(self) -> int:
        """How many clusters there are, empty ones included."""
        return len(self.names)

    def __len__(self) -> int:
        return len(self.ids)

    def table(self) -> list[dict[str, Any]]:
        """One row a sample: id, path, cluster, name, confidence (as in assignments.csv)."""
        return list(self.rows())

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows of `table`, one at a time, or those of a part of the samples."""
        for i in range(len(self))[start:stop]:
            cluster = int(self.labels_[i])
            yield {
                "id": self.ids[i],
                "path": self.files[i],
                "cluster": cluster,
                "name": self.names[cluster] if cluster >= 0 else "",
                "confidence": round(float(self.confidences[i]), 4),
            }

    def sizes(self) -> dict[str, int]:
        """Members of each cluster by name, in the order of `names`."""
        counts = np.bincount(self.labels_[self.labels_ >= 0], minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names, counts, strict=True)}

    def __str__(self) -> str:
        lines = [f"{len(self)} images by {self.criterion!r}: {self.n_clusters} clusters"]
        lines += [f"{size:6d}  {name}" for name, size in self.sizes().items()]
        unassigned = int((self.labels_ < 0).sum())
        return "\n".join([*lines, f"{unassigned:6d}  unassigned"] if unassigned else lines)
