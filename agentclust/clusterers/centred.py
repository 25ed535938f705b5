"""What clusterers of unit vectors share: centres, confidence, and choosing how many clusters.

It knows nothing of where the vectors come from.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.metrics import silhouette_samples
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from agentclust.errors import InputError

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]

LOOKED_AT = 2000  # rows whose silhouette is measured: its cost grows with their square


class Centred(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A clusterer of directions: each cluster has a centre, and nearness is the cosine.

    Rows of zeros say nothing and are unassigned.
    """

    n_clusters: int | Literal["auto"]
    max_clusters: int
    temperature: float
    random_state: Any
    kept: ClassVar[tuple[str, ...]] = ("centers_",)  # what predicting takes

    @abstractmethod
    def _partitions(self, rows: Rows, counts: Sequence[int]) -> Iterable[Labels]:
        """Labels of shape (n,) for each of the numbers of clusters."""

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Find the clusters.

        Args:
            X: Vectors, shape (n, d), of any length.
            y: Not used.

        Raises:
            InputError: `n_clusters` is no number of clusters, or all rows are zero.
        """
        X = validate_data(self, X, dtype=np.float64)
        rows = normalize(X)
        known = rows.any(axis=1)
        if not known.any():
            raise InputError("the vectors", "are all zero", "embed something else")
        counts = self._counts(len({row.tobytes() for row in rows[known]}))
        partitions = list(self._partitions(rows[known], counts))
        labels = best_of(rows[known], partitions, self.random_state)
        self.labels_ = np.full(len(rows), -1)
        self.labels_[known] = np.unique(labels, return_inverse=True)[1]
        self.centers_ = centers_of(rows[known], self.labels_[known])
        self.n_clusters_ = len(self.centers_)
        self.distances_ = 1 - rows @ self.centers_.T
        own = self._shares(self.distances_)[np.arange(len(rows)), self.labels_]
        self.probabilities_ = np.where(known, own, 0.0)
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """The cluster of the nearest centre for each row of X, shape (n,); -1 for zeros."""
        check_is_fitted(self)
        rows = normalize(validate_data(self, X, dtype=np.float64, reset=False))
        return np.where(rows.any(axis=1), np.argmax(rows @ self.centers_.T, axis=1), -1)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Softmax of the cosines over the temperature, shape (n, k); zeros for zeros."""
        check_is_fitted(self)
        rows = normalize(validate_data(self, X, dtype=np.float64, reset=False))
        shares = self._shares(1 - rows @ self.centers_.T)
        return np.where(rows.any(axis=1, keepdims=True), shares, 0.0)

    def _counts(self, n_different: int) -> Sequence[int]:
        """The numbers of clusters to try, given how many different rows there are."""
        if self.n_clusters == "auto":
            return range(2, min(self.max_clusters, n_different - 1) + 1) or [min(n_different, 2)]
        return [min(a_number(self.n_clusters), n_different)]

    def _shares(self, distances: Rows) -> Rows:
        weights = np.exp((distances.min(1, keepdims=True) - distances) / self.temperature)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def a_number(n_clusters: object) -> int:
    """A number of clusters.

    Raises:
        InputError: It is none.
    """
    if not isinstance(n_clusters, int | np.integer) or n_clusters < 1:
        raise InputError(f"n_clusters={n_clusters!r}", "is no number of clusters", "give 2 or more")
    return int(n_clusters)


def centers_of(rows: NDArray[np.floating], labels: Labels) -> Rows:
    """The direction of each cluster's sum, shape (k, d)."""
    members = labels == np.arange(labels.max(initial=-1) + 1)[:, None]
    return np.asarray(normalize(members.astype(float) @ rows))


def best_of(rows: Rows, partitions: Sequence[Labels], random_state: Any) -> Labels:
    """The first partition whose mean silhouette is as good as the best; fewest clusters first.

    That is within one standard error of it (the rule of Breiman et al., Classification and
    Regression Trees, 1984, section 3.4.3), for the silhouette of Rousseeuw (J. Comput. Appl. Math.
    1987) with the cosine distance on at most 2,000 rows.
    """
    if len(partitions) == 1:
        return partitions[0]
    scores = silhouettes(rows, partitions, random_state)
    best, error = max(scores)
    return partitions[next(i for i, (score, _) in enumerate(scores) if score >= best - error)]


def silhouettes(
    rows: NDArray[np.floating], partitions: Sequence[Labels], random_state: Any
) -> list[tuple[float, float]]:
    """The mean silhouette of each partition of unit rows and its standard error, as `best_of`."""
    chosen = np.arange(len(rows))
    if len(rows) > LOOKED_AT:
        chosen = check_random_state(random_state).permutation(len(rows))[:LOOKED_AT]
    distances = np.clip(1 - rows[chosen] @ rows[chosen].T, 0, None)
    np.fill_diagonal(distances, 0)
    return [_silhouette(distances, labels[chosen]) for labels in partitions]


def _silhouette(distances: NDArray[np.floating], labels: Labels) -> tuple[float, float]:
    """Its mean over the samples, and the standard error of that."""
    if not 1 < len(np.unique(labels)) < len(labels):
        return -1.0, 0.0
    values = silhouette_samples(distances, labels, metric="precomputed")
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
