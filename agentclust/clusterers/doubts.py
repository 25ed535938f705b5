"""Where k-means seems to group the same rows better: told, since nothing here knows the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score

from agentclust.clusterers.counting import Labels, silhouettes

NEAREST = 5  # neighbours whose clusters are compared with a row's own
FAR_LESS = 0.85  # of k-means' silhouette: k-means seeks it, so that a little less means nothing


def doubts(
    rows: NDArray[np.float32], near: NDArray[np.int64], own: Labels, rival: Labels, seed: int
) -> list[str]:
    """What speaks for the clusters of k-means, in sentences.

    Args:
        rows: Unit vectors, shape (n, d).
        near: The neighbours of each row, shape (n, k).
        own: The clusters found, shape (n,).
        rival: Those of k-means, shape (n,).
        seed: Picks the rows whose silhouette is measured, where they are many.
    """
    found = []
    here, there = (agreement(labels, near) for labels in (own, rival))
    if here < there:
        found.append(
            "neighbours share a cluster of k-means more often than one of these "
            f"(adjusted mutual information {there:.3f} and {here:.3f}): try kmeans as well"
        )
    (here, _), (there, _) = silhouettes(rows, [own, rival], seed)
    if here < FAR_LESS * there:
        found.append(
            "the clusters of k-means lie further apart than these "
            f"(silhouette {there:.3f} and {here:.3f}): try kmeans as well"
        )
    return found


def agreement(labels: Labels, near: NDArray[np.int64]) -> float:
    """How much a row's cluster tells of those of its nearest neighbours: 0 by chance, 1 all."""
    near = near[:, :NEAREST]
    own = np.repeat(labels, near.shape[1])
    return float(adjusted_mutual_info_score(own, labels[near].ravel()))
