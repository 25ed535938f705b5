"""Ward's method: the two clusters whose union spreads least are merged, again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from scipy.cluster.hierarchy import cut_tree, ward

from agentclust.clusterers.centred import Centred, Rows
from agentclust.clusterers.counting import Labels
from agentclust.errors import InputError

MOST = 20_000  # rows; the distances of all pairs take 8 bytes each: 1.6 GB


class Ward(Centred):
    """Agglomerative clustering of unit vectors (Ward, JASA 58, 1963). It has no randomness.

    One tree, from SciPy as in scikit-learn's ``AgglomerativeClustering``, serves every number of
    clusters that ``"auto"`` tries.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes, of 2 to
            30 and of more where they clearly gain (`agentclust.clusterers.counting.explored`), the
            fewest whose silhouette is within one standard error of the best.
        max_clusters: The most that ``"auto"`` tries; None for one to ten rows that are looked at.
        temperature: How far the cosines of two centres differ where the nearer one is e times as
            likely.
        random_state: Picks the rows whose silhouette is measured, where they are over 2,000.

    Attributes:
        labels_: Cluster of each row, shape (n,); -1 for a row of zeros.
        curve_: What each number of clusters gave, where ``"auto"`` tried several; else None.
        n_clusters_: How many clusters were found.
        centers_: Unit centres, shape (k, d).
        distances_: 1 - cosine to each centre, shape (n, k).
        probabilities_: Softmax of the cosines over the temperature, at the row's own cluster:
            shape (n,), 0 to 1; below a half where another centre is nearer.

    Example:
        >>> model = Ward(n_clusters=2).fit([[1, 0], [9, 1], [0, 1], [1, 5]])
        >>> model.labels_.tolist()
        [0, 0, 1, 1]
    """

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = "auto",
        *,
        max_clusters: int | None = None,
        temperature: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.temperature = temperature
        self.random_state = random_state

    def _partitions(self, rows: Rows, counts: Sequence[int]) -> Iterator[Labels]:
        if len(rows) > MOST:
            raise InputError(f"{len(rows)} vectors", f"are over {MOST}", "use kmeans")
        if len(rows) == 1:
            yield np.zeros(1, dtype=np.int64)
            return
        yield from cut_tree(ward(rows), n_clusters=list(counts)).T
