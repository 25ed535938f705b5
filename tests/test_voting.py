"""Votes between clusterings, on points that this file draws."""

from __future__ import annotations

import numpy as np
import pytest

from agentclust.clusterers import voting
from agentclust.clusterers.consensus import Consensus
from agentclust.clusterers.kmeans import KMeans
from agentclust.embedders import normalized
from agentclust.metrics import external


def drawn(seed, k=6, n=240, spread=0.35):
    random = np.random.default_rng(seed)
    truth = np.sort(random.integers(0, k, n))
    rows = np.eye(12)[truth] + random.normal(0, spread, (n, 12))
    return normalized(rows.astype(np.float32)), truth


def slipping(truth, random, k=6, wrong=0.3):
    """Probabilities of a clustering with its own numbers, in which every third row is anywhere."""
    own = np.where(random.random(len(truth)) < wrong, random.integers(0, k, len(truth)), truth)
    hard = np.eye(k, dtype=np.float32)[random.permutation(k)[own]]
    return 0.9 * hard + 0.1 / k


def right(truth, clusters):
    return external(truth, np.asarray(clusters)).acc


def test_what_many_agree_on_is_better_than_each_of_them():
    random = np.random.default_rng(0)
    _, truth = drawn(0)
    tried = [slipping(truth, random) for _ in range(15)]
    every = np.arange(len(truth))
    clusters = voting.voted(tried, np.ones(15), every, np.random.RandomState(0))
    assert right(truth, clusters) > 0.97 > 0.8 > max(right(truth, c.argmax(1)) for c in tried)
    likely = voting.shares(tried, np.ones(15), clusters)
    assert np.allclose(likely.sum(axis=1), 1)
    assert (likely.argmax(axis=1) == clusters).mean() > 0.97
    sure = likely.max(axis=1)
    assert sure[likely.argmax(axis=1) == clusters].mean() > 0.6


def test_a_clustering_counts_by_its_weight():
    random = np.random.default_rng(1)
    _, truth = drawn(1)
    other = random.permutation(truth)
    tried = [slipping(truth, random, wrong=0)] + 4 * [slipping(other, random, wrong=0)]
    every = np.arange(len(truth))
    for weights, found in (([9, 1, 1, 1, 1], truth), ([1, 9, 9, 9, 9], other)):
        clusters = voting.voted(tried, np.array(weights), every, np.random.RandomState(0))
        assert right(found, clusters) == 1


def test_rows_that_did_not_decide_get_their_cluster_too():
    random = np.random.default_rng(2)
    _, truth = drawn(2, n=10_000)
    tried = [slipping(truth, random, wrong=0.2) for _ in range(9)]
    some = np.arange(0, len(truth), 20)
    assert right(truth, voting.voted(tried, np.ones(9), some, np.random.RandomState(0))) > 0.97


def test_borders_are_settled_and_no_cluster_is_lost():
    rows, truth = drawn(3)
    random = np.random.default_rng(3)
    spoilt = np.where(random.random(len(truth)) < 0.3, random.integers(0, 6, len(truth)), truth)
    assert right(truth, voting.settled(rows, spoilt)) > 0.9 > 0.8 > right(truth, spoilt)
    same = np.repeat(np.eye(4), 3, axis=0)  # members that do not differ leave no covariance
    assert len(np.unique(voting.settled(same, np.arange(12) // 3))) == 4


@pytest.mark.parametrize("seed", range(3))
def test_the_consensus_leads_back_from_a_bad_start(seed):
    """One start of k-means may join two groups and split a third; the votes of many do not."""
    rows, truth = drawn(10 + seed, k=10, n=300, spread=0.2)
    single = min(
        right(truth, KMeans(10, n_init=1, random_state=s).fit(rows).labels_) for s in range(20)
    )
    voted = right(truth, Consensus(10, random_state=seed).fit(rows).labels_)
    assert voted > 0.97 > 0.93 > single


def with_neighbours_and_strays(seed, k=6, n=600, width=24):
    """Groups of which the last two are near each other, and rows that belong nowhere."""
    random = np.random.default_rng(seed)
    truth = np.arange(n) % k
    centers = np.eye(width)[:k]
    centers[-1] = 0.85 * centers[-2] + 0.53 * np.eye(width)[k]
    rows = centers[truth] + random.normal(0, 0.1, (n, width))
    strays = random.choice(n, n // 16, replace=False)
    rows[strays] = random.normal(0, 1, (len(strays), width))
    return normalized(rows.astype(np.float32)), truth, np.setdiff1d(np.arange(n), strays)


def test_groups_near_each_other_stay_apart_where_some_rows_belong_nowhere():
    for seed in range(3):
        rows, truth, ordinary = with_neighbours_and_strays(seed)
        random = np.random.RandomState(seed)
        every = np.arange(len(rows))
        tried = [c for _ in range(3) for c in voting.clusterings(rows, 6, every, 12, random)]
        clusters = voting.voted(tried, np.ones(len(tried)), every, random)
        assert right(truth[ordinary], clusters[ordinary]) > 0.97
