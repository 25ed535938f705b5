"""How many clusters there are: partitions of the same rows compared by their silhouettes.

Silhouettes after UMAP, the index of Calinski and Harabasz and the gap statistic came less near to
the number that people know of (``tests/benchmarks/bench_k.py``, the table is in README.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples
from sklearn.utils import check_random_state

Labels = NDArray[np.int64]

LOOKED_AT = 2000  # rows whose silhouette is measured: its cost grows with their square
STRIDE = 1.1  # from one number to the next, where there are already many
A_CLUSTER = 10  # rows that are looked at, at least, for each cluster of a number beyond the usual
CLEAR = 2.0  # standard errors that a number beyond the usual has to gain
AT_FIRST = 2  # numbers in a row that have to gain, or none beyond the usual is looked at


@dataclass(frozen=True)
class Curve:
    """What was seen of each number of clusters that was tried.

    Attributes:
        counts: The numbers, ascending, shape (m,).
        scores: The mean silhouette of each, -1..1.
        errors: The standard error of each.
        looked_at: Rows that were clustered for it.
        n_rows: Rows there are.
    """

    counts: tuple[int, ...]
    scores: tuple[float, ...]
    errors: tuple[float, ...]
    looked_at: int
    n_rows: int

    @property
    def best(self) -> int:
        """Index of the fewest clusters that are as good as the best.

        That is within one standard error of it (the rule of Breiman et al., Classification and
        Regression Trees, 1984, section 3.4.3).
        """
        highest, error = max(zip(self.scores, self.errors, strict=True))
        return next(i for i, score in enumerate(self.scores) if score >= highest - error)

    @property
    def n_clusters(self) -> int:
        """The number that is chosen."""
        return self.counts[self.best]

    def as_json(self) -> dict[str, Any]:
        """What a person reads in a file."""
        each = zip(self.counts, self.scores, self.errors, strict=True)
        return {
            "chosen": self.n_clusters,
            "looked_at": self.looked_at,
            "n_rows": self.n_rows,
            "tried": [
                {"n_clusters": k, "silhouette": round(score, 4), "standard_error": round(error, 4)}
                for k, score, error in each
            ],
        }


def looked_at(n_rows: int, random_state: Any) -> NDArray[np.int64]:
    """The rows that are looked at: all, or a random 2,000."""
    if n_rows <= LOOKED_AT:
        return np.arange(n_rows)
    return np.sort(check_random_state(random_state).permutation(n_rows)[:LOOKED_AT])


def beyond(usual: int, n_looked_at: int) -> list[int]:
    """The numbers above the usual ones: a tenth more each time, with ten rows a cluster or more."""
    found = [usual]
    while (count := round(STRIDE * found[-1])) <= n_looked_at / A_CLUSTER:
        found.append(count)
    return found[1:]


def explored(
    rows: NDArray[np.floating],
    usual: int,
    partitions: Iterable[Labels],
    random_state: Any,
) -> list[tuple[Labels, float, float]]:
    """Partitions by their silhouettes: the usual ones, and those beyond that clearly gain.

    Beyond the usual each has to gain two standard errors on all before it. The first that does not
    is the last one looked at; where that is one of the first two, none beyond the usual is kept.
    Without this, vectors of captions, whose silhouette creeps up with ever more clusters, would
    seem to hold over a hundred groups.

    Args:
        rows: Unit vectors, shape (n, d).
        usual: How many partitions are looked at in any case.
        partitions: Labels of shape (n,), with more and more clusters; made as they are asked for.
        random_state: As `silhouettes` takes it.

    Returns:
        Each partition kept, with its mean silhouette and the standard error of that.
    """
    asked: list[Labels] = []
    found: list[tuple[Labels, float, float]] = []
    gains, highest = 0, -np.inf
    for score, error in silhouettes(rows, _noted(partitions, asked), random_state):
        found.append((asked[-1], score, error))
        if len(found) > usual:
            if score <= highest + CLEAR * error:
                break
            gains += 1
        highest = max(highest, score)
    return found if gains >= AT_FIRST else found[:usual]


def _noted(partitions: Iterable[Labels], asked: list[Labels]) -> Iterator[Labels]:
    for labels in partitions:
        asked.append(labels)
        yield labels


def silhouettes(
    rows: NDArray[np.floating], partitions: Iterable[Labels], random_state: Any
) -> Iterator[tuple[float, float]]:
    """The mean silhouette of each partition of unit rows and its standard error, one by one.

    That of Rousseeuw (J. Comput. Appl. Math. 20, 1987) with the cosine distance, on at most 2,000
    rows; -1 for what is no partition into two clusters or more.
    """
    chosen = looked_at(len(rows), random_state)
    distances = np.clip(1 - rows[chosen] @ rows[chosen].T, 0, None)
    np.fill_diagonal(distances, 0)
    for labels in partitions:
        yield _silhouette(distances, labels[chosen])


def _silhouette(distances: NDArray[np.floating], labels: Labels) -> tuple[float, float]:
    """Its mean over the samples, and the standard error of that."""
    if not 1 < len(np.unique(labels)) < len(labels):
        return -1.0, 0.0
    values = silhouette_samples(distances, labels, metric="precomputed")
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
