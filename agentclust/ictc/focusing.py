"""Focusing embeddings of captions on a criterion, by a few raw labels or by the words alone.

A sentence embedding holds everything that a caption says. What counts under a criterion is learned
from the raw labels of a few exemplars: a ridge regression (Hoerl and Kennard, Technometrics 1970)
from the embedding of a caption to that of its label, which may be another one (see
`agentclust.ictc.kinds`). Applied to all captions it predicts a label's embedding for each, in which
the slips of single answers are averaged out. Clusterings of both, the captions as they are and the
labels as predicted, are accumulated (see `agentclust.clusterers.consensus`), so are those of the
captions' words as the criterion weighs them, and the model's labels decide between all.

Knows nothing of runs and models: arrays in, arrays out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from agentclust.clusterers.centred import centers_of
from agentclust.clusterers.consensus import Consensus, evidence, joined
from agentclust.clusterers.counting import LOOKED_AT, Labels
from agentclust.embedders import Vectors, normalized

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # of the ridge, for unit vectors
TAUGHT = 2000  # labels that the ridge learns from at most: more change nothing
WEIGHTS = (1.0, 2.0, None)  # of the predicted labels beside the captions; None: the labels alone
REPEATS = 3  # clusterings of each kind: with fewer the seed tells
PARTITIONS = 12  # runs of k-means behind each clustering
TURNS = 2  # of moving rows to the nearest centre, and across borders
TRUST = 8  # power of the agreement with the exemplars' labels by which a clustering votes
TEMPERATURE = 0.15  # difference of two cosines where the nearer centre is e times as likely
SURER = 1.4  # power of the probabilities by which kinds of labels are calibrated
WORD_TEMPERATURE = 0.2  # the same of two words, see `by_words`


@dataclass(frozen=True)
class Focus:
    """Embeddings in the light of a criterion.

    Attributes:
        seen: The captions' embeddings without their mean, shape (n, d).
        told: The predicted embeddings of their labels without their mean, shape (n, e).
        mean: The mean embedding of the labels, shape (e,).
        explained: Share of the variance of the labels' embeddings that the captions predict, each
            label by a regression without it; 1 where all labels are equal, below 0 for chance.
    """

    seen: Vectors
    told: Vectors
    mean: Vectors
    explained: float

    def joined(self, weight: float | None) -> Vectors:
        """Both side by side as unit rows, the labels of that weight; the labels alone for None."""
        told = normalized(self.told)
        if weight is None:
            return told
        length = np.sqrt((self.seen**2).sum(axis=1).mean())
        return normalized(np.hstack([self.seen, weight * length * told]))


def exemplars(vectors: Vectors, n: int, seed: int) -> Labels:
    """Rows that stand for all: those nearest to the centres of k-means with n clusters.

    Args:
        vectors: Shape (rows, d).
        n: How many at most; fewer where rows are equal.
        seed: Of k-means, and of the rows it looks at: ten for each exemplar, at least 2,000.

    Returns:
        Indices, ascending.
    """
    random = np.random.RandomState(seed)
    looked = np.sort(random.permutation(len(vectors))[: max(LOOKED_AT, 10 * n)])
    rows = vectors[looked]
    with threadpool_limits(1):
        model = KMeans(min(n, len(np.unique(rows, axis=0))), n_init=1, random_state=random)
        nearest = model.fit(rows).transform(rows).argmin(axis=0)
    return np.unique(looked[nearest])


def focus(vectors: Vectors, taught: Labels, labels: Vectors) -> Focus:
    """Learn from the labels of some rows what counts, and predict the labels of all.

    Args:
        vectors: Unit embeddings of the captions, shape (n, d).
        taught: Indices of the rows whose labels are known, shape (m,).
        labels: Unit embeddings of those labels, in the same order, shape (m, e).
    """
    seen = vectors - vectors.mean(axis=0)
    some = np.arange(len(taught))[:: 1 + len(taught) // TAUGHT]
    mean = labels.mean(axis=0)
    spread = float(((labels[some] - mean) ** 2).mean())
    if spread < 1e-9:
        return Focus(seen, np.zeros((len(seen), len(mean)), dtype=np.float32), mean, 1.0)
    with threadpool_limits(1):
        ridge = RidgeCV(PENALTIES).fit(seen[taught[some]], labels[some] - mean)
        told = np.asarray(ridge.predict(seen), dtype=np.float32)
    return Focus(seen, told, mean, 1 + float(ridge.best_score_) / spread)


def nearest(found: Focus, labels: Vectors) -> Labels:
    """For each caption the label whose embedding is nearest to the predicted one, shape (n,)."""
    return np.asarray(((found.told + found.mean) @ labels.T).argmax(axis=1))


def count(found: Focus, seed: int) -> int:
    """How many clusters there seem to be, by the rule of `Consensus`."""
    return int(Consensus("auto", random_state=seed).fit(found.joined(2.0)).n_clusters_)


def partition(
    found: Focus,
    k: int,
    taught: Labels,
    labels: Sequence[str],
    seed: int,
    words: Vectors | None = None,
) -> tuple[Labels, NDArray[np.float64]]:
    """Clusters of the focused embeddings.

    Several clusterings differ in what they see, the predicted labels with more or less weight or
    the weighted words, and in how the accumulated evidence is cut, by average linkage or by
    k-means, whose clusters are more equal in size. They vote (Dudoit and Fridlyand, Bioinformatics
    19, 2003, BagClust1): clusters are matched to those of the clustering that agrees best with the
    labels of the exemplars, and probabilities are averaged, each clustering weighted by that
    agreement (adjusted Rand index). Discriminant analysis of the captions, with the covariance of
    Ledoit and Wolf (2004), then moves what lies on the wrong side of a border (Ding and Li, ICML
    2007, in two turns).

    Args:
        found: The focused embeddings of n captions.
        k: How many clusters.
        taught: Indices of the exemplars, shape (m,).
        labels: Their raw labels, shape (m,).
        seed: Of k-means and of the rows clustered, where there are more than 2,000.
        words: The captions by `by_words`, shape (n, e); None leaves that view out.

    Returns:
        The cluster of each caption, shape (n,), and the probability of each in 0..1, shape (n, k).
    """
    views = [found.joined(w) for w in (WEIGHTS if found.told.any() else WEIGHTS[:1])]
    views += [] if words is None else [words]
    tried = list(_candidates(views, k, taught, seed))
    agreed = [max(0.0, float(adjusted_rand_score(labels, c.argmax(1)[taught]))) for c in tried]
    best = tried[int(np.argmax(agreed))]
    weights = np.array(agreed) ** TRUST + 1e-12
    likely = np.zeros_like(best)
    for weight, other in zip(weights / weights.sum(), tried, strict=True):
        shared = best.T @ other
        rows, columns = linear_sum_assignment(-shared)
        likely[:, rows] += weight * other[:, columns]
    clusters = likely.argmax(axis=1)
    for _ in range(TURNS):
        clusters = _discriminated(found.seen, clusters)
    kept, numbered = np.unique(clusters, return_inverse=True)
    return np.asarray(numbered), likely[:, kept]


def surer(likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of votes over kinds of labels, shape (n, k), calibrated, as they are modest."""
    shares = likely**SURER
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _candidates(
    views: Sequence[Vectors], k: int, taught: Labels, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Clusterings of each view of the n captions, as probabilities, shape (n, k)."""
    random = np.random.RandomState(seed)
    some = np.union1d(taught, random.permutation(len(views[0]))[:LOOKED_AT])[: 2 * LOOKED_AT]
    for rows in REPEATS * list(views):
        runs = evidence(rows[some], (k, 2 * k), PARTITIONS, random)
        for cut in (_by_tree, _by_kmeans):
            centers = centers_of(rows[some], cut(runs, k, random))
            for _ in range(TURNS):
                centers = centers_of(rows, _numbered(np.argmax(rows @ centers.T, axis=1)))
            cosines = np.full((len(rows), k), -np.inf)
            cosines[:, : len(centers)] = rows @ centers.T
            likely = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / TEMPERATURE)
            yield likely / likely.sum(axis=1, keepdims=True)


def _discriminated(rows: Vectors, clusters: Labels) -> Labels:
    """The cluster of each row by linear discriminants between the clusters as they are."""
    if len(np.unique(clusters)) < 2:
        return clusters
    return np.asarray(discriminants(rows, clusters).predict(rows))


def discriminants(rows: Vectors, clusters: Labels) -> LinearDiscriminantAnalysis:
    """Linear discriminants between clusters, with the covariance of Ledoit and Wolf (2004).

    Args:
        rows: Shape (n, d).
        clusters: Of each row, two or more and fewer than n, shape (n,).
    """
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    with threadpool_limits(1), warnings.catch_warnings():
        # a cluster of one adds nothing to the covariance
        warnings.filterwarnings("ignore", "Only one sample available", UserWarning)
        return model.fit(rows, clusters)


def _numbered(clusters: Labels) -> Labels:
    """Clusters numbered from 0 without gaps."""
    return np.asarray(np.unique(clusters, return_inverse=True)[1])


def _by_tree(runs: NDArray[np.float32], k: int, random: np.random.RandomState) -> Labels:
    return joined(runs, [k])[0]


def _by_kmeans(runs: NDArray[np.float32], k: int, random: np.random.RandomState) -> Labels:
    k = min(k, len(np.unique(runs, axis=0)))
    with threadpool_limits(1):
        return np.asarray(KMeans(k, n_init=10, random_state=random).fit_predict(runs))


def by_words(
    texts: Sequence[str],
    vectors: Vectors,
    criterion: Vectors,
    embed: Callable[[list[str]], Vectors],
) -> Vectors:
    """Embeddings focused on a criterion without any label, by the words of the captions.

    Beside each caption's embedding stands the mean embedding of its words, weighted by TF-IDF and
    by how near a word is to the criterion and, more than to other captions, to this one.

    Args:
        texts: The captions.
        vectors: Their unit embeddings, shape (n, d).
        criterion: That of the criterion, shape (d,).
        embed: Unit embeddings of words.

    Returns:
        Unit rows, shape (n, 2 d), or (n, d) where no caption has a telling word.
    """
    seen = vectors - vectors.mean(axis=0)
    try:
        counted = TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2)
        weights = counted.fit_transform(texts)
    except ValueError:  # not one word that two captions share
        return normalized(seen)
    words = embed([str(word) for word in counted.get_feature_names_out()])
    asked = words @ criterion
    mean = vectors.mean(axis=0) @ words.T
    told = np.zeros_like(seen)
    for row in range(len(texts)):
        place = slice(weights.indptr[row], weights.indptr[row + 1])
        own = weights.indices[place]
        if len(own):
            near = asked[own] - asked.mean() + vectors[row] @ words[own].T - mean[own]
            share = weights.data[place] * np.exp(near / WORD_TEMPERATURE)
            told[row] = share @ words[own] / share.sum()
    return normalized(np.hstack([seen, told - told.mean(axis=0)]))
