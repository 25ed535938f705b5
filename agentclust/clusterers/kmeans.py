"""Spherical k-means: clusters of directions, so that the length of a vector plays no part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from sklearn import cluster
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from agentclust.clusterers.centred import Centred, Rows, centers_of
from agentclust.clusterers.counting import Labels

TURNS = 100  # far more than it ever takes


class KMeans(Centred):
    """Spherical k-means (Dhillon and Modha, Machine Learning 42, 2001, section 3).

    scikit-learn's k-means finds the start: of `n_init` runs on the unit vectors, the one with the
    least inertia. A single run on embeddings of captions depends much on its seed.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes, of 2 to
            30 and of more where they clearly gain (`agentclust.clusterers.counting.explored`), the
            fewest whose silhouette is within one standard error of the best.
        max_clusters: The most that ``"auto"`` tries; None for one to ten rows that are looked at.
        n_init: Restarts for each number of clusters.
        temperature: How far the cosines of two centres differ where the nearer one is e times as
            likely. 0.05 made probabilities of MiniLM vectors as high as the share of those right.
        random_state: Seed.

    Attributes:
        labels_: Cluster of each row, shape (n,); -1 for a row of zeros.
        curve_: What each number of clusters gave, where ``"auto"`` tried several; else None.
        n_clusters_: How many clusters were found.
        centers_: Unit centres, shape (k, d).
        distances_: 1 - cosine to each centre, shape (n, k).
        probabilities_: Softmax of the cosines over the temperature, at the row's own cluster:
            shape (n,), 0 to 1.

    Example:
        >>> model = KMeans(n_clusters=2, random_state=0).fit([[1, 0], [9, 1], [0, 1], [1, 5]])
        >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[2] == model.labels_[3])
        True
    """

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = "auto",
        *,
        max_clusters: int | None = None,
        n_init: int = 10,
        temperature: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.n_init = n_init
        self.temperature = temperature
        self.random_state = random_state

    def _partitions(self, rows: Rows, counts: Sequence[int]) -> Iterator[Labels]:
        random = check_random_state(self.random_state)
        # where cores are busy, threads that wait for each other take five times as long
        with threadpool_limits(1):
            for count in counts:
                start = cluster.KMeans(count, n_init=self.n_init, random_state=random)
                yield _settled(rows, start.fit(rows).labels_)


def _settled(rows: Rows, labels: Labels) -> Labels:
    """Each row at the nearest centre, each centre at its rows' direction."""
    for _ in range(TURNS):
        nearest = np.argmax(rows @ centers_of(rows, labels).T, axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
    return labels
