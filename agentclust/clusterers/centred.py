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
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted, validate_data

from agentclust.clusterers.counting import Curve, Labels, beyond, explored, looked_at
from agentclust.errors import InputError
from agentclust.files.blocks import blocks

Rows = NDArray[np.float64]


class Centred(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A clusterer of directions: each cluster has a centre, and nearness is the cosine.

    Rows of zeros say nothing and are unassigned. Where `n_clusters` is "auto", `curve_` holds what
    each number of clusters gave (`agentclust.clusterers.counting`), on at most 2,000 rows; else it
    is None.
    """

    n_clusters: int | Literal["auto"]
    max_clusters: int | None
    temperature: float
    random_state: Any
    kept: ClassVar[tuple[str, ...]] = ("centers_",)  # what predicting takes
    usual: ClassVar[int] = 30  # "auto" tries each number up to it, and others where they gain
    anew: ClassVar[bool] = False  # whether a partition is made otherwise once its number is known

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
        counts = self._counts(int(known.sum()), len({row.tobytes() for row in rows[known]}))
        labels = self._partition(rows[known], counts)
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

    def _partition(self, rows: Rows, counts: Sequence[int]) -> Labels:
        """The partition of the number that is asked for, or that is best."""
        self.curve_: Curve | None = None
        if len(counts) > 1:
            some = rows[looked_at(len(rows), self.random_state)]
            usual, counts = len(counts), [*counts, *self._beyond(some, counts[-1])]
            partitions = self._partitions(some, counts)
            tried = explored(some, usual, partitions, self.random_state)
            found, scores, errors = zip(*tried, strict=True)
            kept: Sequence[Labels] = found
            self.curve_ = Curve(tuple(counts[: len(kept)]), scores, errors, len(some), len(rows))
            if len(some) == len(rows) and not self.anew:
                return kept[self.curve_.best]
            counts = [self.curve_.n_clusters]
        return next(iter(self._partitions(rows, counts)))

    def _counts(self, n_rows: int, n_different: int) -> Sequence[int]:
        """The numbers of clusters to try, given how many rows there are, and different ones."""
        if self.n_clusters == "auto":
            most = min(self.max_clusters or self.usual, n_different, n_rows - 1)
            return range(2, most + 1) or [min(n_different, 2)]
        return [min(a_number(self.n_clusters), n_different)]

    def _beyond(self, some: Rows, most: int) -> Sequence[int]:
        """The numbers of clusters to try besides, if they gain."""
        if self.max_clusters is not None or most < self.usual:
            return []
        n_different = len({row.tobytes() for row in some})
        return [count for count in beyond(self.usual, len(some)) if count < n_different]

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


def means_of(vectors: NDArray[Any], labels: Labels, groups: Labels) -> NDArray[np.float32]:
    """The direction of the sum of each group's rows, shape (k, d), block by block.

    Args:
        vectors: Unit rows, shape (n, d).
        labels: The group of each, -1 for none, shape (n,).
        groups: The groups there are, ascending, shape (k,).
    """
    sums = np.zeros((len(groups), vectors.shape[1]))
    for start, rows in blocks(vectors):
        own = labels[start : start + len(rows)]
        known = own >= 0
        np.add.at(sums, np.searchsorted(groups, own[known]), rows[known])
    return np.asarray(normalize(sums), dtype=np.float32)
