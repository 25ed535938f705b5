"""What a report shows, as plain data. Knows nothing of run directories, models or HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agentclust.report.evidence import Evidence
from agentclust.report.lines import Plot
from agentclust.types import Clustering, LeftOut, Usage


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template that was used.

    Attributes:
        name: The template's name.
        version: The version it declares.
        sha256: Hex digest of its text.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way the run was tried.

    Attributes:
        why: What it tried.
        names: Its cluster names; none where it did not come so far.
        quality: Its internal score, 0..1; None where it has none.
        is_result: Whether it is the result.
        failed: Why it was given up, empty where it was not.
    """

    why: str
    names: tuple[str, ...]
    quality: float | None
    is_result: bool
    failed: str = ""


@dataclass(frozen=True)
class Agreement:
    """How far the clusters agree with true labels, as `metrics.external` measures it.

    Attributes:
        scores: Score by name (`External.summary()`).
        classes: True classes, shape (n_classes,).
        counts: Samples by true class and cluster, the unassigned in the last column, shape
            (n_classes, n_clusters + 1).
        matching: Class index -> cluster index.
        axis: Which labels they are, where there are several kinds.
    """

    scores: Mapping[str, float]
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    matching: Mapping[int, int]
    axis: str = ""


@dataclass(frozen=True)
class Map:
    """Samples in two dimensions.

    Attributes:
        rows: Their indices in the clustering, shape (m,).
        places: Shape (m, 2), of any scale.
        how: How they are laid out, such as "by UMAP, from minilm embeddings of captions".
        pictures: A JPEG with a tile for each, as `agentclust.report.thumbnails.sheet` makes it;
            empty where they have none.
        tile: Edge of a tile, pixels.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.float32]
    how: str
    pictures: bytes
    tile: int


@dataclass(frozen=True)
class View:
    """One run as its report shows it.

    The clustering's `files` must open as they stand; a sample without one, or whose file is gone,
    is shown by its caption. Captions, raw labels and reasons are looked up by sample id, and only
    for the samples on the page, so a mapping may read them from disk when asked.

    Attributes:
        clustering: The result; without names where the run has not come so far.
        captions: Caption by sample id.
        raw_labels: Raw label by sample id.
        reasons: Why a sample is unassigned, by sample id.
        evidence: Why a sample is where it is, by sample id, where that was explained.
        dataset: The dataset's name.
        status: The run's status; anything but "done" is pointed out.
        mode: "default" or "paper".
        notes: What a reader must know first: fallbacks and their reasons.
        attempts: The ways it was tried, in their order.
        edits: What a person changed, a sentence each.
        left_out: Files that are no usable sample.
        models: Model by role, such as "llm" -> "openai:NAME".
        settings: Further settings worth showing, by name.
        prompts: The templates that were used.
        usage: What each step cost, by step, in the order of the steps.
        scores: Internal scores by name (`metrics.internal`).
        agreements: Agreement with true labels, one an axis; none where they are not known.
        curves: Plots of scores over the number of candidates.
        counted: The plot of the numbers of clusters that were tried; None where there is none.
        map: Samples in two dimensions; None where nothing was embedded.
        central: For a cluster, members by their nearness to its mean embedding, nearest first.
        created: ISO 8601 time of the run.
        version: Version of agentclust.
    """

    clustering: Clustering
    captions: Mapping[str, str] = field(default_factory=dict)
    raw_labels: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    dataset: str = ""
    status: str = "done"
    mode: str = "default"
    notes: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    edits: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    prompts: tuple[Prompt, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    agreements: tuple[Agreement, ...] = ()
    curves: tuple[Plot, ...] = ()
    counted: Plot | None = None
    map: Map | None = None
    central: Mapping[int, Sequence[int]] = field(default_factory=dict)
    created: str = ""
    version: str = ""
