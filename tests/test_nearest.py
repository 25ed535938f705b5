"""Nearest centres are exact whatever multiplies, and seeds lie where the rows are."""

import numpy as np
import pytest
import torch

from agentclust.clusterers import lloyd, nearest
from agentclust.clusterers.lloyd import seeds

WAYS = {"numpy": None, "half": ("cpu", torch.bfloat16)}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    monkeypatch.setattr(nearest, "_fast", lambda: WAYS[request.param])
    return request.param


def drawn(offset=0.0, centers=300, width=48):
    random = np.random.default_rng(0)
    points = random.normal(size=(centers, width))
    points[1] = points[0] + 1e-3  # nearly the same: half precision cannot tell them apart
    rows = points[random.integers(0, centers, 3000)] + 0.5 * random.normal(size=(3000, width))
    return (rows + offset).astype(np.float32), (points + offset).astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_the_nearest_centre_is_found(way, offset):
    rows, points = drawn(offset)
    labels, distances, sure = nearest.nearest(rows, nearest.ready(points), 2.0)
    true = ((rows[:, None].astype(float) - points) ** 2).sum(axis=2)
    own = true[np.arange(len(rows)), labels]
    assert (own - true.min(axis=1)).max() < (1e-3 if not offset else 0.05)
    assert np.allclose(distances, own, atol=1e-3 if not offset else 0.3)
    if not offset:
        weights = np.exp((true.min(axis=1, keepdims=True) - true) / 2 / 2.0)
        assert np.abs(sure - 1 / weights.sum(axis=1)).max() < 0.06


def test_half_precision_alone_would_not_do(monkeypatch):
    """The rows that are looked at once more are what makes it exact."""
    rows, points = drawn(20.0)
    monkeypatch.setattr(nearest, "_fast", lambda: WAYS["half"])
    right = nearest.nearest(rows, nearest.ready(points))[0]
    monkeypatch.setattr(nearest, "ROUNDING", -1.0)
    assert (nearest.nearest(rows, nearest.ready(points))[0] != right).mean() > 0.1


def test_one_centre_is_the_nearest(way):
    rows, points = drawn()
    labels, _, sure = nearest.nearest(rows, nearest.ready(points[:1]), 1.0)
    assert not labels.any()
    assert np.allclose(sure, 1)


@pytest.mark.parametrize("k", [5, 64, 200])
def test_seeds_are_distinct_rows_in_most_of_the_groups(k):
    random = np.random.default_rng(1)
    middles = 10 * random.normal(size=(k, 16))
    truth = random.integers(0, k, 4000)
    rows = (middles[truth] + random.normal(size=(4000, 16)) * 0.1).astype(np.float32)
    found = seeds(rows, k, np.random.RandomState(0))
    assert found.shape == (k, 16)
    reached = {int(((middles - seed) ** 2).sum(axis=1).argmin()) for seed in found}
    assert len(reached) > 0.97 * k
    assert np.array_equal(found, seeds(rows, k, np.random.RandomState(0)))


def test_seeds_of_rows_that_are_nearly_all_alike():
    rows = np.ones((500, 4), dtype=np.float32)
    rows[:3] = np.eye(4, dtype=np.float32)[:3] * 9
    found = seeds(rows, lloyd.ONE_BY_ONE + 40, np.random.RandomState(0))
    assert len(found) == lloyd.ONE_BY_ONE + 40
    assert {tuple(row) for row in rows[:3]} <= {tuple(row) for row in found}
