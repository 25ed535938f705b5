"""Scores of a clustering: external ones against true labels, internal ones without.

Knows nothing of runs: labels and confidences in, numbers out. Nothing here reads a file.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from agentclust.errors import InputError

UNSURE = 0.5  # below this confidence an assignment counts as unsure
BINS = 10  # of the calibration error


@dataclass(frozen=True)
class External:
    """How far a clustering agrees with true labels.

    Attributes:
        n: Samples compared.
        acc: Share of samples whose cluster is the one matched to their class, 0..1.
        nmi: Normalised mutual information, 0..1.
        ari: Adjusted Rand index, -0.5..1.
        purity: Share of samples of the class that most of their cluster are, 0..1: the ACC of
            matching many clusters to one class, for more clusters than classes.
        unassigned: Samples in no cluster. They count as errors in `acc`
            and `purity`.
        n_clusters: Clusters there are, empty ones included.
        ece: Expected calibration error of the confidences, 0..1; None without confidences.
        classes: True classes, sorted, shape (n_classes,).
        counts: Confusion matrix, int64, shape (n_classes, n_clusters + 1): samples of the true
            class (row) in the cluster (column); the last column counts the unassigned.
        matching: Class index -> cluster index, for the pairs that have samples in common.
    """

    n: int
    acc: float
    nmi: float
    ari: float
    purity: float
    unassigned: int
    n_clusters: int
    ece: float | None
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    matching: dict[int, int]

    def summary(self) -> dict[str, int | float]:
        """The scores as plain numbers, without the matrix; `ece` only where there is one."""
        names = ("n", "acc", "nmi", "ari", "purity", "unassigned", "n_clusters", "ece")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


def external(
    truth: Sequence[str],
    labels: NDArray[np.int64],
    confidences: NDArray[np.float64] | None = None,
    n_clusters: int | None = None,
) -> External:
    """Compare a clustering with true labels.

    ACC is the share of samples on the one-to-one matching of clusters to classes that maximises
    it (Kuhn 1955, the Hungarian method; defined for unequal numbers of clusters and classes in
    Fränti and Sieranoja 2024, "Clustering accuracy"). What has no partner is an
    error, and so is every unassigned sample. NMI is normalised by the arithmetic
    mean of the two entropies and ARI is that of Hubert and Arabie (1985); both take the unassigned
    samples as one more cluster, since leaving them out would reward a method for refusing the
    hard ones.

    Args:
        truth: The true class of each sample, shape (n,).
        labels: The cluster index of each sample, -1 for unassigned, shape (n,).
        confidences: Probability of each assignment in 0..1, shape (n,); adds `ece`.
        n_clusters: Clusters there are; by default up to the largest index that occurs.

    Raises:
        InputError: No samples, shapes that differ, or labels outside of -1..n_clusters - 1.
    """
    labels = np.asarray(labels)
    _check(labels, {"true labels": len(truth)})
    if confidences is not None:
        _check(labels, {"confidences": len(confidences)})
    n_clusters = _count_clusters(labels, n_clusters)
    classes, rows = np.unique(np.asarray([str(name) for name in truth]), return_inverse=True)
    counts = np.zeros((len(classes), n_clusters + 1), dtype=np.int64)
    np.add.at(counts, (rows, labels), 1)  # -1 is the last column
    matching = match(counts[:, :-1])
    partner = np.full(len(classes), -2)
    partner[list(matching)] = list(matching.values())
    correct = partner[rows] == labels
    with warnings.catch_warnings():  # many small clusters are no sign of a regression problem
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        nmi = normalized_mutual_info_score(rows, labels, average_method="arithmetic")
        ari = adjusted_rand_score(rows, labels)
    return External(
        n=len(labels),
        acc=float(correct.mean()),
        nmi=float(nmi),
        ari=float(ari),
        purity=float(counts[:, :-1].max(axis=0, initial=0).sum() / len(labels)),
        unassigned=int((labels < 0).sum()),
        n_clusters=n_clusters,
        ece=None if confidences is None else _of_assigned(labels, confidences, correct),
        classes=tuple(str(name) for name in classes),
        counts=counts,
        matching=matching,
    )


def calibration_error(
    confidences: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Expected calibration error: how far confidence is from accuracy, 0..1, 0 best.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2, equation 3: the mean
    over equal-width bins ((m - 1)/M, m/M] of |accuracy - mean confidence|, weighted by the
    samples in the bin. A confidence of exactly 0 falls into the first bin.

    Args:
        confidences: Probabilities in 0..1, shape (n,).
        correct: Whether each prediction is right, shape (n,).
        bins: How many bins, M.

    Raises:
        InputError: No samples, or shapes that differ.
    """
    _check(np.asarray(confidences), {"correct": len(correct)})
    edges = np.arange(1, bins) / bins  # i / M itself, so that 0.3 is on its edge and not beside it
    bin_of = np.digitize(confidences, edges, right=True)
    gaps = np.bincount(bin_of, weights=np.asarray(correct, float) - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


def internal(
    labels: NDArray[np.int64], confidences: NDArray[np.float64], n_clusters: int
) -> dict[str, float]:
    """Scores that need no true label, only what every run has.

    Args:
        labels: The cluster index of each sample, -1 for unassigned, shape (n,).
        confidences: Probability of each assignment in 0..1, shape (n,).
        n_clusters: Clusters there are, empty ones included.

    Returns:
        unassigned: Share of the samples in no cluster.
        unsure: Share of the samples in a cluster with confidence below 0.5.
        confidence: Mean confidence of the assigned samples, 0 where there are none.
        balance: Shannon entropy of the sizes over log(n_clusters): 1 for equal sizes, 0 where
            one cluster holds everything.
        largest: Share of the assigned samples in the largest cluster, 0 where there are none.
        empty: How many clusters have no member.

    Raises:
        InputError: No samples, shapes that differ, or labels outside of -1..n_clusters - 1.
    """
    labels, confidences = np.asarray(labels), np.asarray(confidences, dtype=float)
    _check(labels, {"confidences": len(confidences)})
    n_clusters = _count_clusters(labels, n_clusters)
    assigned = labels >= 0
    sizes = np.bincount(labels[assigned], minlength=n_clusters)
    shares = sizes[sizes > 0] / max(sizes.sum(), 1)
    entropy = -float((shares * np.log(shares)).sum())
    return {
        "unassigned": float((~assigned).mean()),
        "unsure": float((assigned & (confidences < UNSURE)).mean()),
        "confidence": float(confidences[assigned].mean()) if assigned.any() else 0.0,
        "balance": abs(entropy / np.log(n_clusters)) if n_clusters > 1 else 0.0,
        "largest": float(shares.max(initial=0.0)),
        "empty": float((sizes == 0).sum()),
    }


def match(counts: NDArray[np.int64]) -> dict[int, int]:
    """The one-to-one matching of classes (rows) to clusters (columns) with most samples on it."""
    pairs = zip(*linear_sum_assignment(counts, maximize=True), strict=True)
    return {int(row): int(column) for row, column in pairs if counts[row, column] > 0}


def _of_assigned(
    labels: NDArray[np.int64], confidences: NDArray[np.float64], correct: NDArray[np.bool_]
) -> float:
    """Calibration error of the assigned: to leave a sample unassigned is no prediction."""
    assigned = labels >= 0
    if not assigned.any():
        return 0.0
    return calibration_error(np.asarray(confidences, dtype=float)[assigned], correct[assigned])


def _check(values: NDArray[np.generic], others: dict[str, int]) -> None:
    if values.ndim != 1 or not len(values):
        why = "no samples to score" if not values.size else "is not one value a sample"
        raise InputError(f"shape {values.shape}", why, "give one cluster index for each sample")
    for name, length in others.items():
        if length != len(values):
            why = f"do not go with {len(values)} samples"
            raise InputError(f"{length} {name}", why, "give one for each sample, in the same order")


def _count_clusters(labels: NDArray[np.int64], n_clusters: int | None) -> int:
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels of type {labels.dtype}", "are no integers", "give cluster indices"
        )
    low, high = int(labels.min()), int(labels.max())
    n_clusters = high + 1 if n_clusters is None else n_clusters
    if low < -1 or high >= n_clusters:
        raise InputError(
            f"labels {low}..{high}",
            f"are not within -1..{n_clusters - 1}",
            "number the clusters from 0; -1 means unassigned",
        )
    return n_clusters
