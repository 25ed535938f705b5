"""What a confusion matrix tells beside ACC, NMI and ARI: other scores, the best and worst clusters.

As Zheltonozhskii et al., "Self-Supervised Learning for Large-Scale Unsupervised Image Clustering"
(2020), report it. It knows nothing of runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    adjusted_mutual_info_score,
    fowlkes_mallows_score,
    homogeneity_completeness_v_measure,
)

SHOWN = 5  # clusters at either end


def details(
    classes: Sequence[str], counts: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Any]:
    """Scores of a clustering against true labels that `metrics.External` has not.

    Args:
        classes: The true classes, shape (n_classes,).
        counts: Samples of the class (row) in the cluster (column), the last column for the
            unassigned, shape (n_classes, n_clusters + 1).
        names: The clusters' names, shape (n_clusters,).

    Returns:
        homogeneity, completeness, v_measure: Rosenberg and Hirschberg (EMNLP 2007), 0..1.
        ami: Adjusted mutual information (Vinh, Epps and Bailey, JMLR 11, 2010), about 0..1.
        fowlkes_mallows: Fowlkes and Mallows (JASA 78, 1983), 0..1.
        best, worst: Up to 5 clusters with members, by the share of their most frequent class:
            cluster, name, size, class, share.
        The unassigned are one more cluster to all but `best` and `worst`.
    """
    rows, columns = np.nonzero(counts)
    truth = np.repeat(rows, counts[rows, columns])
    labels = np.repeat(columns, counts[rows, columns])
    with warnings.catch_warnings():  # many small clusters are no sign of a regression problem
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        measured = homogeneity_completeness_v_measure(truth, labels)
        ami = adjusted_mutual_info_score(truth, labels)
        fowlkes_mallows = fowlkes_mallows_score(truth, labels)
    inside = counts[:, :-1]
    sizes, most = inside.sum(axis=0), inside.max(axis=0, initial=0)
    shares = most / np.maximum(sizes, 1)
    there = np.flatnonzero(sizes)
    order = there[np.lexsort((-sizes[there], -shares[there]))]  # equal ones: the larger first
    told = [
        {
            "cluster": int(i),
            "name": names[i],
            "size": int(sizes[i]),
            "class": classes[int(inside[:, i].argmax())],
            "share": round(float(shares[i]), 4),
        }
        for i in order
    ]
    return {
        "homogeneity": float(measured[0]),
        "completeness": float(measured[1]),
        "v_measure": float(measured[2]),
        "ami": float(ami),
        "fowlkes_mallows": float(fowlkes_mallows),
        "best": told[:SHOWN],
        "worst": told[::-1][:SHOWN],
    }
