"""Scores of a clustering that see no true label and were found to tell how good it is.

Knows nothing of runs and models: arrays in, numbers out. What earned its place, over 190 runs of
deliberately varied quality on six labelled sets, by Spearman's rank correlation with ACC (mean of
the sets): quality .97, agreement .91, echo .90, information .88, the largest share .83, overlap of
names .66. What did not: mean confidence .64, unsure share .52, unassigned share .13, silhouette of
caption embeddings .5, stability under another order of the names .5. See
tests/benchmarks/bench_scores.py, which measures them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from agentclust.errors import InputError

RESTARTS = 10  # of k-means; the tightest is compared: the mean of single ones predicts less
COMPARED = 2000  # samples that are compared at most: k-means on more adds time and nothing else
HELD = 0.01  # of all mass: two names that hold less together are not worth a merge

# When to act. Behind each: how many it flags of 106 bad runs (ACC 15 points or more below the best
# of their set) and of 21 good ones (within 5 points). Together they flag 104 of the bad, and of the
# good one that mixes levels and five with a name that nothing falls under. The true groups of all
# sets are about equal in size, so `SWALLOWS` stands higher than the measurement asks for.
IN_DOUBT = 0.15  # share of the samples in no group or unsure: 82 of 106, 1 of 21
SWALLOWS = 0.4  # share of the assigned in one group, and over twice an equal share: 56, 0
CONFUSED = 0.2  # overlap of two names: 81, 0
UNCOVERED = 0.1  # share of the raw labels, by weight, that the model finds fit no name: 33, 0
TINY = 0.1  # size of a group, of an equal share: 66, 5
UNINFORMED = 0.6  # information; below, the names say little about the raw labels: 76, 0
UNHEARD = 0.5  # echo; below, the captions do not speak of the names: 47, 0

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Vectors = NDArray[np.floating]


def information(
    raw_labels: Sequence[str], clusters: Ints, confidences: Floats, n_clusters: int
) -> float:
    """How much a sample's cluster and its raw label tell of each other.

    The mutual information of raw label and cluster over the mean of log K and the entropy of the
    raw labels, as in the normalised mutual information of Strehl and Ghosh (JMLR 2002); the
    confidences are the mass, so what is unassigned or unsure carries nothing. Maximal where the
    names part the raw labels evenly and without doubt (Krause et al., NIPS 2010, eq. 2).

    Args:
        raw_labels: The raw label of each sample, empty where it is unknown, shape (n,).
        clusters: The cluster index of each sample, -1 for unassigned, shape (n,).
        confidences: Probability of each assignment in 0..1, shape (n,).
        n_clusters: Clusters there are, empty ones included (K).

    Raises:
        InputError: No samples, or shapes that differ.
    """
    _same_length(clusters, raw_labels, confidences)
    known = sorted(set(raw_labels))
    places = {text: place for place, text in enumerate(known)}
    row = np.fromiter((places[text] for text in raw_labels), np.int32, len(raw_labels))
    joint = np.zeros((len(known), n_clusters + 1))  # the last column holds the unassigned, -1
    np.add.at(joint, (row, np.asarray(clusters)), np.asarray(confidences, dtype=float))
    joint /= len(row)
    sizes = np.bincount(row)
    told = np.array([text != "" for text in known])
    joint, sizes = joint[told, :-1], sizes[told]
    most = np.log(n_clusters) + _entropy(sizes / max(sizes.sum(), 1))
    held = joint.sum()
    if held <= 0 or most <= 0:
        return 0.0
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0) / held
    there = joint > 0
    gain = float((joint[there] * np.log(joint[there] / independent[there])).sum())
    return float(np.clip(2 * gain / most, 0.0, 1.0))


def agreement(clusters: Ints, vectors: Vectors, k: int, seed: int = 0) -> float:
    """How far k-means, which knows no name, finds the same groups.

    The adjusted Rand index (Hubert and Arabie 1985) of the assignment and k-means, 0
    where it is below chance. The unassigned count as one more group.

    Args:
        clusters: The cluster index of each sample, -1 for unassigned, shape (n,).
        vectors: Embeddings of the samples, shape (n, d). To be joined, side by side, of unit
            embeddings of caption and raw label: captions alone also speak of other things than
            the criterion, and the score then predicts little.
        k: How many clusters are wanted; where nobody said, how many there are.
        seed: Seed of k-means and of the samples compared.

    Raises:
        InputError: No samples, shapes that differ, or fewer than one cluster.
    """
    _same_length(clusters, vectors)
    if k < 1:
        raise InputError(f"k={k}", "is no number of clusters", "give 1 or more")
    chosen = _some(len(clusters), seed)
    rows, groups = np.asarray(vectors)[chosen], np.asarray(clusters)[chosen]
    k = min(k, len(np.unique(rows, axis=0)))  # of more, scikit-learn warns
    found = KMeans(k, n_init=RESTARTS, random_state=seed).fit_predict(rows)
    return max(0.0, float(adjusted_rand_score(groups, found)))


def echo(clusters: Ints, captions: Vectors, names: Vectors) -> float:
    """How far the captions alone, by their likeness to the names, give the same groups.

    The normalised mutual information of the assignment and the nearest name of each caption
    (zero-shot classification by embeddings, as CLIP does it: Radford et al., ICML 2021, section
    3.1.2). It sees what `information` and `agreement` cannot: raw labels that are wrong.

    Args:
        clusters: The cluster index of each sample, -1 for unassigned, shape (n,).
        captions: Unit embeddings of the captions, shape (n, d).
        names: Unit embeddings of the cluster names, shape (n_clusters, d), in the same space.

    Raises:
        InputError: No samples, no names, or shapes that differ.
    """
    _same_length(clusters, captions)
    if captions.shape[1:] != names.shape[1:] or not len(names):
        what = f"names of shape {names.shape}, captions of shape {captions.shape}"
        raise InputError(what, "are not of one space", "embed both with one embedder")
    nearest = (np.asarray(captions) @ np.asarray(names).T).argmax(axis=1)
    return float(normalized_mutual_info_score(np.asarray(clusters), nearest))


def quality(scores: Mapping[str, float]) -> float:
    """One number by which attempts of one run are compared: the mean of two second opinions.

    These are `agreement` and `echo`, or, where only words are compared and not their meaning (an
    embedder without weights), `information` and `echo`; what is missing is left out. Attempts are
    to be compared by the same scores.

    Args:
        scores: Scores by name; others than the three are not looked at.

    Raises:
        InputError: None of the three is there.
    """
    first = "agreement" if "agreement" in scores else "information"
    parts = [scores[name] for name in (first, "echo") if name in scores]
    if not parts:
        raise InputError("scores", "hold none that predicts quality", "compute information first")
    return float(np.mean(parts))


def largest(clusters: Ints) -> tuple[float, int]:
    """The share of the assigned samples in the largest cluster, and which; (0, -1) without any."""
    sizes = np.bincount(np.asarray(clusters)[np.asarray(clusters) >= 0])
    if not len(sizes):
        return 0.0, -1
    return float(sizes.max() / sizes.sum()), int(sizes.argmax())


def confused(table: Floats, weights: Floats) -> tuple[float, int, int]:
    """The two names that the model itself confuses most: their overlap in 0..1, and which.

    The overlap of the two names' masses over the raw labels: twice the sum of the lesser over the
    sum of both (Bray-Curtis similarity). 0 for names that part the labels, 1 for two words for
    one thing. Two names that together hold less than a hundredth of all mass are passed over.

    Args:
        table: The model's distribution over names, and "none of these" in the last column, for
            each raw label, shape (labels, names + 1).
        weights: How many samples have each raw label, shape (labels,).

    Raises:
        InputError: Fewer than two names, or shapes that differ.
    """
    _same_length(weights, table)
    table = np.asarray(table, dtype=float)
    if table.shape[1] < 3:
        raise InputError(f"table of shape {table.shape}", "has no two names", "give two or more")
    mass = table[:, :-1] * (np.asarray(weights, dtype=float) / np.sum(weights))[:, None]
    worst = (0.0, 0, 1)
    for a in range(mass.shape[1] - 1):
        for b in range(a + 1, mass.shape[1]):
            both = float(mass[:, a].sum() + mass[:, b].sum())
            shared = 2 * float(np.minimum(mass[:, a], mass[:, b]).sum())
            if both >= HELD and shared / both > worst[0]:
                worst = (shared / both, a, b)
    return worst


def _entropy(shares: Floats) -> float:
    return -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())


def _some(n: int, seed: int) -> Ints:
    """All indices, or as many as are compared."""
    if n <= COMPARED:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, COMPARED, replace=False))


def _same_length(first: Sequence[object] | NDArray[np.generic], *others: object) -> None:
    if not len(first):
        raise InputError("samples", "there are none to score", "give at least one")
    for other in others:
        if len(other) != len(first):  # type: ignore[arg-type]
            what = f"{len(other)} values"  # type: ignore[arg-type]
            raise InputError(what, f"do not go with {len(first)}", "give one for each")
