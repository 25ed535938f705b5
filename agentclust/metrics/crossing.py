"""Two clusterings of the same samples, crossed: how far they agree, and where they do not.

Knows nothing of runs or files: labels in, a table and its matching out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from agentclust import metrics


@dataclass(frozen=True)
class Crossing:
    """How far two clusterings agree.

    Attributes:
        ari: Adjusted Rand index, -0.5..1.
        ami: Adjusted mutual information, at most 1.
        counts: Samples by cluster of the first (row) and of the second (column), the unassigned
            last in both, int64, shape (n_first + 1, n_second + 1).
        matching: Cluster of the first -> cluster of the second, for pairs with samples in common.
        same: Whether each sample is in matched clusters, or unassigned in both, shape (n,).
    """

    ari: float
    ami: float
    counts: NDArray[np.int64]
    matching: dict[int, int]
    same: NDArray[np.bool_]


def cross(
    first: NDArray[np.int64], second: NDArray[np.int64], n_first: int, n_second: int
) -> Crossing:
    """Cross two clusterings of the same samples.

    The adjusted Rand index is that of Hubert and Arabie (1985), adjusted mutual information that
    of Vinh, Epps and Bailey (2010), "Information Theoretic Measures for Clusterings Comparison",
    section 4, with the arithmetic mean of the entropies. Both take the unassigned as one more
    cluster. Clusters are matched one to one so that most samples are in matched ones.

    Args:
        first: Cluster of each sample, -1 for unassigned, shape (n,).
        second: As `first`, by the other clustering.
        n_first: Clusters of the first, empty ones included.
        n_second: Clusters of the second.
    """
    counts = np.zeros((n_first + 1, n_second + 1), dtype=np.int64)
    np.add.at(counts, (first, second), 1)  # -1 is the last row and column
    matching = metrics.match(counts[:-1, :-1])
    partner = np.full(n_first + 1, -2)
    partner[list(matching)] = list(matching.values())
    partner[-1] = -1
    with warnings.catch_warnings():  # many small clusters are no sign of a regression problem
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        ari = adjusted_rand_score(first, second)
        ami = adjusted_mutual_info_score(first, second)
    return Crossing(float(ari), float(ami), counts, matching, partner[first] == second)
