"""K-means for millions of vectors: on nested samples first, then over all, block by block."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.preprocessing import normalize
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from agentclust.clusterers.counting import LOOKED_AT, Curve, Labels
from agentclust.clusterers.kmeans import KMeans
from agentclust.clusterers.lloyd import Source, moved, seeds
from agentclust.clusterers.nearest import Block, nearest, ready, squares
from agentclust.clusterers.projecting import Projection, fitted_projection
from agentclust.errors import InputError
from agentclust.files.blocks import blocks, side_by_side, taken

FIRST = 16  # rows a centre in the first sample
ENOUGH = 64_000  # rows of a sample, where these are half of `sample` a centre or more
SETTLED = 1e-3  # a sample whose inertia falls by a smaller share has told what it can
TURNS = 20  # updates on one sample at most


class MiniBatchKMeans(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """K-means whose cost is a few passes over the data, and whose memory does not grow with it.

    k-means++ or, for more centres, k-means|| places them on a small random sample.
    Lloyd's updates move them until they settle; then the sample is doubled, keeping what it had
    (nested mini-batches: Newling and Fleuret, NeurIPS 2016, section 3), up to `sample` rows a
    centre. The best of `n_init` such starts then sees all rows, `passes` times. Rows are read in
    blocks: a mapped file of half precision is never wholly in memory.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes what
            `KMeans` finds on 2,000 random rows.
        over: That many times `n_clusters` are made: over-clustering, such as 1.25.
        spherical: Whether directions are clustered (nearness is the cosine, and a row of zeros is
            unassigned) or points (nearness is the Euclidean distance).
        n_components: Principal components that vectors are reduced to first; None leaves them.
        n_init: Starts.
        sample: Rows a centre in the largest sample; half of it does where that are many rows.
        passes: Updates on all rows.
        max_clusters: The most that ``"auto"`` tries; None for as many as `KMeans` does.
        temperature: How far the scores of two centres differ where the nearer one is e times as
            likely: their cosines, or, of points, half the squared distances over the mean one.
        n_jobs: Threads; None for as many as there are cores.
        random_state: Seed.

    Attributes:
        labels_: Cluster of each row, shape (n,); -1 for a row of zeros where `spherical`.
        curve_: What each number of clusters gave, where ``"auto"`` tried several; else None.
        n_clusters_: How many clusters were found.
        centers_: Centres, of length 1 where `spherical`, shape (k, d or n_components).
        inertia_: Sum of the squared distances to the own centre, as the rows are clustered.
        probabilities_: Softmax of the scores over the temperature, at the row's own cluster: shape
            (n,), 0 to 1.

    Example:
        >>> model = MiniBatchKMeans(2, random_state=0).fit([[1, 0], [9, 1], [0, 1], [1, 5]])
        >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[2] == model.labels_[3])
        True
    """

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = "auto",
        *,
        over: float = 1.0,
        spherical: bool = True,
        n_components: int | None = None,
        n_init: int = 1,
        sample: int = 128,
        passes: int = 1,
        max_clusters: int | None = None,
        temperature: float = 0.05,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.over = over
        self.spherical = spherical
        self.n_components = n_components
        self.n_init = n_init
        self.sample = sample
        self.passes = passes
        self.max_clusters = max_clusters
        self.temperature = temperature
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Find the clusters.

        Args:
            X: Vectors, shape (n, d), of any floating number format; best a mapped file.
            y: Not used.

        Raises:
            InputError: `n_clusters` is no number of clusters or more than there are rows, another
                parameter does not fit, or all rows are zero.
            ValueError: A number is not finite.
        """
        X = self._checked(X, reset=True)
        random = check_random_state(self.random_state)
        self.projection_ = fitted_projection(X, self.n_components) if self.n_components else None
        order = random.permutation(len(X))
        k = self._count(X, order)
        wanted = max(min(self.sample * k, ENOUGH), self.sample * k // 2, LOOKED_AT)
        size = min(len(X), wanted)
        some = self._rows(np.asarray(taken(X, np.sort(order[:size])), dtype=np.float32))
        some = some[some.any(axis=1)] if self.spherical else some
        if not len(some):
            raise InputError("the vectors", "are all zero", "embed something else")
        some = some[random.permutation(len(some))]  # nested samples are its first rows
        threads = self.n_jobs or os.cpu_count() or 1
        # blocks side by side, each on one core: threads of the BLAS would wait for each other
        with threadpool_limits(1):
            starts = [self._settled(some, k, random, threads) for _ in range(self.n_init)]
            centers = min(starts, key=lambda start: start[1])[0]
            for _ in range(self.passes):
                centers = moved(self._source(X), centers, self.spherical, threads)[0]
            self._assign(X, centers, threads)
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """The cluster of the nearest centre for each row of X, shape (n,); -1 as in `labels_`."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        found, known = np.empty(len(X), dtype=np.int64), ready(self.centers_)
        for start, rows in self._source(X):
            found[start : start + len(rows)] = self._of_known(rows, nearest(rows, known)[0], -1)
        return found

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Softmax of the scores over the temperature, shape (n, k); zeros as -1 in `labels_`."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        found = np.empty((len(X), len(self.centers_)), dtype=np.float32)
        halves = np.float32(0.5) * squares(self.centers_)
        for start, block in self._source(X):
            # the length of a row adds the same to each of its scores
            shares = softmax(
                (block @ self.centers_.T - halves) / (self.temperature * self.scale_), axis=1
            )
            known = block.any(axis=1, keepdims=True) if self.spherical else True
            found[start : start + len(block)] = np.where(known, shares, 0)
        return found

    def _of_known(self, rows: Block, values: NDArray[Any], otherwise: int) -> NDArray[Any]:
        """The values but for rows of zeros, which say nothing of a direction."""
        return np.where(rows.any(axis=1), values, otherwise) if self.spherical else values

    def _checked(self, X: Any, reset: bool) -> NDArray[Any]:
        """X as it is where it is an array, so that a mapped file stays one."""
        kinds = [np.float32, np.float16, np.float64]
        # one row alone has no component of any variance
        least = 2 if reset and self.n_components else 1
        found = validate_data(
            self, X, dtype=kinds, ensure_all_finite=False, ensure_min_samples=least, reset=reset
        )
        array: NDArray[Any] = X if isinstance(X, np.memmap) and X.dtype in kinds else found
        for _, block in blocks(array):
            assert_all_finite(block, input_name="X")
        return array

    def _count(self, X: NDArray[Any], order: Labels) -> int:
        if not self.temperature > 0:
            raise InputError(f"temperature={self.temperature!r}", "is not above 0", "give 0.05")
        for name in ("over", "n_init", "sample", "passes"):
            value, least = getattr(self, name), int(name != "passes")
            if value < least:
                raise InputError(f"{name}={value!r}", f"is below {least}", f"give {least} or more")
        wanted = self.n_clusters
        self.curve_: Curve | None = None
        if wanted == "auto":
            some = self._rows(np.asarray(taken(X, np.sort(order[:LOOKED_AT])), dtype=np.float32))
            model = KMeans(max_clusters=self.max_clusters, random_state=self.random_state).fit(some)
            wanted = int(model.n_clusters_)
            self.curve_ = model.curve_ and replace(model.curve_, n_rows=len(X))
        elif not isinstance(wanted, int | np.integer) or wanted < 1:
            raise InputError(f"n_clusters={wanted!r}", "is no number of clusters", "give 2 or more")
        k = round(wanted * self.over)
        if k > len(X):
            times = "" if self.over == 1 else f" times over={self.over}"
            why = f"is more than the {len(X)} vectors"
            raise InputError(f"n_clusters={wanted}{times}", why, "ask for fewer clusters")
        return k

    def _rows(self, block: Block) -> Block:
        """Vectors as they are clustered."""
        projection: Projection | None = self.projection_
        block = block if projection is None else projection(block)
        return np.asarray(normalize(block), dtype=np.float32) if self.spherical else block

    def _source(self, X: NDArray[Any]) -> Source:
        return ((start, self._rows(block)) for start, block in blocks(X))

    def _settled(
        self, some: Block, k: int, random: np.random.RandomState, threads: int
    ) -> tuple[Block, float]:
        """Centres after updates on growing samples, and their inertia on the largest."""
        k, size = min(k, len(some)), min(FIRST * k, len(some))
        centers = seeds(some[:size], k, random)
        while True:
            before = np.inf
            for _ in range(TURNS):
                new, inertia = moved(blocks(some[:size]), centers, self.spherical, threads)
                if inertia >= before * (1 - SETTLED):
                    break
                centers, before = new, inertia
            if size == len(some):
                return centers, inertia
            size = min(2 * size, len(some))

    def _assign(self, X: NDArray[Any], centers: Block, threads: int) -> None:
        """Set what is learnt of the rows, and number the clusters that have any."""
        known, scale = ready(centers), 1.0
        if not self.spherical:
            _, rows = next(self._source(X))
            scale = float(nearest(rows, known)[1].mean()) or 1.0
        self.scale_ = scale
        temperature = self.temperature * scale

        def part(block: tuple[int, Block]) -> tuple[Labels, Block, Block]:
            labels, distances, sure = nearest(block[1], known, temperature)
            return (
                self._of_known(block[1], labels, -1),
                self._of_known(block[1], sure, 0),
                self._of_known(block[1], distances, 0),
            )

        parts = list(side_by_side(part, self._source(X), threads))
        labels, self.probabilities_, distances = (
            np.concatenate(each) for each in zip(*parts, strict=True)
        )
        self.inertia_ = float(distances.sum(dtype=np.float64))
        found, places = np.unique(labels, return_inverse=True)
        empty = int(found[0] < 0)
        self.labels_ = places - empty
        self.centers_ = centers[found[empty:]]
        self.n_clusters_ = len(self.centers_)
