"""Evidence accumulation: what many runs of k-means agree on, so that no single seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from sklearn import cluster
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from agentclust.clusterers.centred import Centred, Rows, centers_of
from agentclust.clusterers.counting import Labels, looked_at

UNSURE_OF = (10, 40)  # clusters of the runs where nobody said how many are wanted


class Consensus(Centred):
    """Evidence accumulation clustering (Fred and Jain, IEEE TPAMI 27(6), 2005, section 3).

    k-means runs `n_partitions` times, each time with another start and another number of clusters
    between the wanted one and twice that. Two rows are as near as the share of the runs that put
    them together (equation 2 there), and average linkage joins them. Unlike k-means it has no bent
    to clusters of equal size, and it may leave a few outliers as a cluster. Of more than 2,000 rows
    a random 2,000 are clustered, and the others go to the nearest centre.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes, of 2 to
            40 and of more where they clearly gain (`agentclust.clusterers.counting.explored`), the
            fewest whose silhouette is within one standard error of the best.
        max_clusters: The most that ``"auto"`` tries; None for one to ten rows that are looked at.
        n_partitions: Runs of k-means.
        temperature: How far the cosines of two centres differ where the nearer one is e times as
            likely.
        random_state: Seed.

    Attributes:
        labels_: Cluster of each row, shape (n,); -1 for a row of zeros.
        curve_: What each number of clusters gave, where ``"auto"`` tried several; else None.
        n_clusters_: How many clusters were found.
        centers_: Unit centres, shape (k, d).
        distances_: 1 - cosine to each centre, shape (n, k).
        probabilities_: Softmax of the cosines over the temperature, at the row's own cluster:
            shape (n,), 0 to 1; below a half where another centre is nearer.

    Example:
        >>> model = Consensus(n_clusters=2, random_state=0).fit([[1, 0], [9, 1], [0, 1], [1, 5]])
        >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[2] == model.labels_[3])
        True
    """

    usual = 40
    anew = True

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = "auto",
        *,
        max_clusters: int | None = None,
        n_partitions: int = 20,
        temperature: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.n_partitions = n_partitions
        self.temperature = temperature
        self.random_state = random_state

    def _partitions(self, rows: Rows, counts: Sequence[int]) -> Iterator[Labels]:
        random = check_random_state(self.random_state)
        chosen = looked_at(len(rows), random)
        some = rows[chosen]
        if len(some) == 1:
            yield np.zeros(len(rows), dtype=np.int64)
            return
        if len(counts) > 1:
            yield from joined(evidence(some, UNSURE_OF, self.n_partitions, random), counts)
            return
        found = evidence(some, (counts[0], 2 * counts[0]), self.n_partitions, random)
        (labels,) = joined(found, counts)
        everywhere = np.argmax(rows @ centers_of(some, labels).T, axis=1)
        everywhere[chosen] = labels
        yield everywhere


def evidence(
    rows: NDArray[np.floating],
    between: tuple[int, int],
    n_partitions: int,
    random: np.random.RandomState,
) -> NDArray[np.float32]:
    """The clusters that each row falls into in many runs of k-means.

    Args:
        rows: Vectors, shape (n, d).
        between: The least and the most clusters of a run, drawn anew for each.
        n_partitions: How many runs.
        random: Where starts and numbers come from.

    Returns:
        Shape (n, all clusters of all runs); the product of two rows is the share of the runs that
        put them together.
    """
    most = len(np.unique(rows, axis=0))
    members = []
    # where cores are busy, threads that wait for each other take five times as long
    with threadpool_limits(1):
        for count in random.randint(between[0], between[1] + 1, n_partitions):
            model = cluster.KMeans(min(count, most), n_init=1, random_state=random)
            members.append(np.eye(min(count, most), dtype=np.float32)[model.fit_predict(rows)])
    return np.asarray(np.hstack(members) / np.sqrt(n_partitions), dtype=np.float32)


def joined(found: NDArray[np.float32], counts: Sequence[int]) -> list[Labels]:
    """The tree of average linkage over `evidence`, cut at each count: labels of shape (n,)."""
    apart = 1 - (found @ found.T).astype(np.float64)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(np.clip(apart, 0, None), checks=False), "average")
    return list(cut_tree(tree, n_clusters=list(counts)).T)
