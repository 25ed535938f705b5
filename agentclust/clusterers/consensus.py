"""A consensus: what many runs of k-means agree on, so that no single seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state

from agentclust.clusterers.centred import Centred, Rows, centers_of
from agentclust.clusterers.counting import Labels, looked_at
from agentclust.clusterers.voting import Shares, clusterings, evidence, joined, settled, voted

REPEATS = 3  # evidence that votes
UNSURE_OF = (10, 40)  # clusters of the runs where nobody said how many are wanted


class Consensus(Centred):
    """Evidence accumulation clustering (Fred and Jain, IEEE TPAMI 27(6), 2005, section 3), voted.

    k-means runs `n_partitions` times, each time with another start and another number of clusters
    between the wanted one and twice that. Two rows are as near as the share of the runs that put
    them together (equation 2 there). That is cut by average linkage and by k-means, three times
    over, and these six clusterings vote (`agentclust.clusterers.voting`): each weighs exp(z), z its
    mean cosine of rows and centres, in standard deviations below the best. Linear discriminants
    then settle the borders. Of more than 2,000 rows a random 2,000 are clustered, and the others go
    to the nearest centre.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes, of 2 to
            40 and of more where they clearly gain (`agentclust.clusterers.counting.explored`), the
            fewest whose silhouette is within one standard error of the best.
        max_clusters: The most that ``"auto"`` tries; None for one to ten rows that are looked at.
        n_partitions: Runs of k-means behind each vote.
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
        labels = self._agreed(some, counts[0], random)
        everywhere = np.argmax(rows @ centers_of(some, labels).T, axis=1)
        everywhere[chosen] = labels
        yield everywhere

    def _agreed(self, rows: Rows, k: int, random: np.random.RandomState) -> Labels:
        every = np.arange(len(rows))
        tried = [
            each
            for _ in range(REPEATS)
            for each in clusterings(rows, k, every, self.n_partitions, random)
        ]
        tight = np.array([_tightness(rows, each) for each in tried])
        weights = np.exp((tight - tight.max()) / (tight.std() + 1e-9))
        # probabilities would tell little: how far cosines differ depends on the embedding
        members = [np.eye(k, dtype=np.float32)[each.argmax(axis=1)] for each in tried]
        return settled(rows, voted(members, weights, every, random))


def _tightness(rows: Rows, likely: Shares) -> float:
    """The mean cosine of rows and their nearest centre: what spherical k-means would heighten."""
    centers = centers_of(rows, np.unique(likely.argmax(axis=1), return_inverse=True)[1])
    return float((rows @ centers.T).max(axis=1).mean())
