"""What scores the clusters for a vector: the clusterer that made the run, or what stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust.clusterers import voting
from agentclust.clusterers.centred import means_of
from agentclust.clusterers.counting import Labels
from agentclust.clusterers.saved import load
from agentclust.embedders import Embedder, Vectors
from agentclust.files.blocks import blocks

MOST = 20_000  # captions that discriminants are learned from


@dataclass(frozen=True)
class Linear:
    """Scores that are products of a vector with one vector a cluster, plus a number.

    Attributes:
        by: What scores the clusters, in words.
        groups: The cluster of each score, ascending, shape (k,).
        weights: Shape (k, d).
        bias: Shape (k,) or (1,).
    """

    by: str
    groups: Labels
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scores(self, rows: Any) -> Any:
        """Of unit rows of shape (n, d), shape (n, k): of an array, or of a tensor."""
        if isinstance(rows, np.ndarray):
            return rows @ self.weights.T + self.bias
        return rows @ rows.new_tensor(self.weights).T + rows.new_tensor(self.bias)


@dataclass(frozen=True)
class Head:
    """The logits of a trained clusterer.

    Attributes:
        by: As of `Linear`.
        groups: As of `Linear`.
        model: The clusterer.
    """

    by: str
    groups: Labels
    model: Any

    def scores(self, rows: Any) -> Any:
        """As of `Linear`."""
        import torch

        if isinstance(rows, np.ndarray):
            return self.model.logits(torch.from_numpy(rows)).numpy()
        return self.model.logits(rows.cpu())


Scorer = Linear | Head


def scorer(
    fitted: Path | None, embedder: Embedder, vectors: Vectors, labels: Labels
) -> Scorer | str:
    """What scores the clusters of a run.

    The clusterer that made them, where it is kept and its clusters still stand: cosines with its
    centres, or the logits of its head. Of others only the members of the clusters are known. Then
    images are scored by their cosines with the means of the members; captions, whose clusters
    differ in what the criterion asks for and in little else, by linear discriminants between the
    members' embeddings, which is also the last step where groups are found by likeness (see
    `agentclust.ictc.focusing.partition`).

    Args:
        fitted: The file of the clusterer that made the clusters, if there is one.
        embedder: What made the vectors.
        vectors: Unit rows, shape (n, d).
        labels: The cluster of each, -1 for none, shape (n,).

    Returns:
        The scorer, or the reason why there is none.

    Raises:
        InputError: The clusterer's file is damaged.
    """
    groups = np.unique(labels[labels >= 0])
    if len(groups) < 2:
        return "there are no two groups to compare"
    model, about = load(fitted) if fitted else (None, {})
    if model is not None and about["identity"] == embedder.identity:
        return _of_model(model, str(about["clusterer"]))
    if embedder.of == "text":
        return _discriminants(vectors, labels)
    means = means_of(vectors, labels, groups)
    return Linear("cosine with the mean of each group", groups, means, np.zeros(1, np.float32))


def _of_model(model: Any, name: str) -> Scorer:
    if hasattr(model, "centers_"):
        centers = np.asarray(model.centers_, dtype=np.float32)
        by = f"cosine with the centres of {name}"
        return Linear(by, np.arange(len(centers)), centers, np.zeros(1, np.float32))
    return Head(f"logits of the head of {name}", np.arange(len(model.used_)), model)


def _discriminants(vectors: Vectors, labels: Labels) -> Scorer | str:
    known = np.flatnonzero(labels >= 0)
    first = np.unique(labels[known], return_index=True)[1]  # no group may be left out
    known = np.union1d(known[first], known[:: 1 + len(known) // MOST])
    rows, own = np.asarray(vectors[known], dtype=np.float32), labels[known]
    if len(np.unique(own)) == len(own):
        return "no group has two members to learn from"
    model = voting.discriminants(rows, own)
    weights, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps the difference alone
        weights, bias = np.vstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
    by = "linear discriminants of the captions' embeddings"
    return Linear(by, model.classes_, weights.astype(np.float32), bias.astype(np.float32))


def agreement(found: Scorer, vectors: Vectors, labels: Labels) -> float:
    """The share of the samples in a cluster that this cluster scores highest for."""
    agreed = 0
    for start, rows in blocks(vectors):
        best = found.groups[found.scores(rows).argmax(axis=1)]
        own = labels[start : start + len(rows)]
        agreed += int(((best == own) & (own >= 0)).sum())
    return agreed / max(int((labels >= 0).sum()), 1)


def neighbours(
    vectors: Vectors, chosen: Sequence[int], count: int
) -> list[list[tuple[int, float]]]:
    """For each chosen row the rows of the largest cosine, itself left out, nearest first."""
    asked = np.asarray(vectors[np.asarray(chosen)], dtype=np.float32)
    near = [list[tuple[int, float]]() for _ in chosen]
    for start, rows in blocks(vectors):
        alike = asked @ rows.T
        for place, (row, own) in enumerate(zip(alike, chosen, strict=True)):
            if 0 <= own - start < len(row):
                row[own - start] = -np.inf
            best = np.argsort(-row, kind="stable")[:count]
            near[place] += [(start + int(i), float(row[i])) for i in best if row[i] > -np.inf]
    return [sorted(found, key=lambda pair: (-pair[1], pair[0]))[:count] for found in near]
