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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from agentclust.clusterers import voting
from agentclust.clusterers.consensus import Consensus
from agentclust.clusterers.counting import LOOKED_AT, Labels
from agentclust.embedders import Vectors, normalized

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # of the ridge, for unit vectors
TAUGHT = 2000  # labels that the ridge learns from at most: more change nothing
WEIGHTS = (1.0, 2.0, None)  # of the predicted labels beside the captions; None: the labels alone
REPEATS = 3  # clusterings of each kind: with fewer the seed tells
TRUST = 8  # power of the agreement with the exemplars' labels by which a clustering votes
SURER = 1.3  # power of the probabilities by which kinds of labels are calibrated
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
    the weighted words, and in how the accumulated evidence is cut. They vote
    (`agentclust.clusterers.voting`), each with the weight of its agreement with the labels of the
    exemplars (adjusted Rand index). Linear discriminants of the captions then settle the borders.

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
    random = np.random.RandomState(seed)
    some = np.union1d(taught, random.permutation(len(found.seen))[:LOOKED_AT])[: 2 * LOOKED_AT]
    tried = [
        each
        for rows in REPEATS * views
        for each in voting.clusterings(rows, k, some, voting.PARTITIONS, random)
    ]
    agreed = [max(0.0, float(adjusted_rand_score(labels, c.argmax(1)[taught]))) for c in tried]
    weights = np.array(agreed) ** TRUST + 1e-12
    clusters = voting.settled(found.seen, voting.voted(tried, weights, some, random))
    return clusters, voting.shares(tried, weights, clusters)


def surer(likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of votes over kinds of labels, shape (n, k), calibrated, as they are modest."""
    shares = likely**SURER
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


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
