"""Several clusterings of the same rows, and the one that they agree on, so that no seed decides.

Each clustering is itself what many runs of k-means agree on: evidence accumulation (Fred and Jain,
IEEE TPAMI 27(6), 2005, section 3). Between these clusterings k-means decides, run on the rows'
shares in all clusters of all of them: the consensus that has most information in common with the
clusterings, in the quadratic sense (Topchy, Jain and Punch, IEEE TPAMI 27(12), 2005, section 3.2;
weighted as in Wu, Liu, Xiong, Cao and Chen, IEEE TKDE 27(1), 2015, section 3). No clustering leads
it, and none has to be matched to another.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from threadpoolctl import threadpool_limits

from agentclust.clusterers.centred import centers_of
from agentclust.clusterers.counting import Labels
from agentclust.files.blocks import BLOCK

Rows = NDArray[np.floating]
Shares = NDArray[np.float32]

PARTITIONS = 12  # runs of k-means behind each clustering
TURNS = 2  # of moving rows to the nearest centre, and across borders
TEMPERATURE = 0.15  # difference of two cosines where the nearer centre is e times as likely
SHARPER = 3  # power of those probabilities that vote: modest ones blur groups that lie near
RESTARTS = 10  # of the k-means that cuts the evidence, and twice as many of that which decides


def evidence(
    rows: Rows, between: tuple[int, int], n_partitions: int, random: np.random.RandomState
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
            model = KMeans(min(count, most), n_init=1, random_state=random)
            members.append(np.eye(min(count, most), dtype=np.float32)[model.fit_predict(rows)])
    return np.asarray(np.hstack(members) / np.sqrt(n_partitions), dtype=np.float32)


def joined(found: NDArray[np.float32], counts: Sequence[int]) -> list[Labels]:
    """The tree of average linkage over `evidence`, cut at each count: labels of shape (n,)."""
    apart = 1 - (found @ found.T).astype(np.float64)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(np.clip(apart, 0, None), checks=False), "average")
    return list(cut_tree(tree, n_clusters=list(counts)).T)


def clusterings(
    rows: Rows, k: int, some: Labels, n_partitions: int, random: np.random.RandomState
) -> Iterator[Shares]:
    """Two clusterings by evidence accumulation, which cut it otherwise.

    Average linkage may find clusters of any size, k-means finds rather equal ones.

    Args:
        rows: Unit vectors, shape (n, d).
        k: How many clusters.
        some: Indices of the rows that are clustered; the others go to the nearest centre.
        n_partitions: Runs of k-means behind both.
        random: Where starts and numbers come from.

    Yields:
        The probability of each cluster for each row, shape (n, k).
    """
    runs = evidence(rows[some], (k, 2 * k), n_partitions, random)
    for cut in (joined(runs, [k])[0], _by_kmeans(runs, k, RESTARTS, random).labels_):
        centers = centers_of(rows[some], cut)
        for _ in range(TURNS):
            centers = centers_of(rows, _numbered(np.argmax(rows @ centers.T, axis=1)))
        cosines = np.full((len(rows), k), -np.inf)
        cosines[:, : len(centers)] = rows @ centers.T
        likely = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / TEMPERATURE)
        yield np.asarray(likely / likely.sum(axis=1, keepdims=True), dtype=np.float32)


def voted(
    tried: Sequence[Shares],
    weights: NDArray[np.floating],
    some: Labels,
    random: np.random.RandomState,
) -> Labels:
    """What the clusterings agree on: the cluster of each row, shape (n,).

    Probabilities are raised to a power before they are compared. As they are, calibrated, rows of
    two groups whose centres lie near each other look alike to every clustering, and rows that
    belong nowhere would rather get a cluster of their own, at the price of joining the two.

    Args:
        tried: The clusterings, each of shape (n, k).
        weights: How much each counts, 0 or more.
        some: Indices of the rows that decide where the clusters lie.
        random: Where starts come from.
    """
    roots = np.sqrt(weights / weights.sum()).astype(np.float32)

    def stacked(rows: Labels | slice) -> Shares:
        pairs = zip(roots, tried, strict=True)
        # between roots of probabilities the distance is Hellinger's
        return np.hstack([root * np.sqrt(_sharper(each[rows])) for root, each in pairs])

    starts = range(0, len(tried[0]), BLOCK)
    model = _by_kmeans(stacked(some), tried[0].shape[1], 2 * RESTARTS, random)
    with threadpool_limits(1):
        return np.concatenate([model.predict(stacked(slice(i, i + BLOCK))) for i in starts])


def shares(
    tried: Sequence[Shares], weights: NDArray[np.floating], clusters: Labels
) -> NDArray[np.float64]:
    """The probability of each cluster for each row by the clusterings, shape (n, c).

    The clusters of each are matched to the given ones, and probabilities are averaged (Dudoit and
    Fridlyand, Bioinformatics 19, 2003, BagClust1).

    Args:
        tried: The clusterings, each of shape (n, k).
        weights: How much each counts, 0 or more.
        clusters: Of each row, numbered without gaps, c of them and at most k, shape (n,).
    """
    own = np.eye(clusters.max() + 1, dtype=np.float32)[clusters]
    likely = np.zeros(own.shape)
    for weight, other in zip(weights / weights.sum(), tried, strict=True):
        likely += weight * other[:, linear_sum_assignment(-(own.T @ other))[1]]
    return likely


def settled(rows: Rows, clusters: Labels) -> Labels:
    """The clusters with what lies on the wrong side of a border moved, numbered without gaps.

    Borders are linear discriminants between the clusters as they are (Ding and Li, ICML 2007), in
    two turns; a turn that leaves a cluster without rows is not taken.
    """
    for _ in range(TURNS):
        there = np.unique(clusters)
        if not 1 < len(there) < len(rows):
            break
        moved = np.asarray(discriminants(rows, clusters).predict(rows))
        if len(np.unique(moved)) < len(there):
            break
        clusters = moved
    return _numbered(clusters)


def discriminants(rows: Rows, clusters: Labels) -> LinearDiscriminantAnalysis:
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


def _sharper(likely: Shares) -> Shares:
    powers = likely**SHARPER
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _numbered(clusters: Labels) -> Labels:
    """Clusters numbered from 0 without gaps."""
    return np.asarray(np.unique(clusters, return_inverse=True)[1])


def _by_kmeans(rows: Rows, k: int, starts: int, random: np.random.RandomState) -> KMeans:
    k = min(k, len(np.unique(rows, axis=0)))
    with threadpool_limits(1):
        return KMeans(k, n_init=starts, random_state=random).fit(rows)
