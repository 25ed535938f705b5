"""TEMI's dimensions made to vary alike before the heads see them."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from agentclust.clusterers import load_clusterer
from agentclust.clusterers.saved import load, save
from agentclust.clusterers.temi import TEMI
from tests.test_clusterers import bunches

TINY = {"n_heads": 2, "hidden": 8, "bottleneck": 4, "epochs": 2, "random_state": 0}


def uneven():
    """Rows of length 1 whose dimensions vary by up to twenty times as much as one another."""
    X = np.random.default_rng(0).normal(size=(90, 12)) * np.geomspace(1, 20, 12)
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def seen(model, X):
    """Rows as the heads of a fit see them."""
    return (X - model.mean_) @ model.components_.T


@pytest.mark.parametrize("standardize", [True, False])
def test_heads_see_the_rows_with_and_without(standardize):
    X = uneven()
    model = TEMI(3, n_components=1.0, standardize=standardize, **TINY).fit(X)
    expected = (X - X.mean(axis=0)) / (X.std(axis=0) if standardize else X.std())
    found, wanted = pairwise_distances(seen(model, X)), pairwise_distances(expected)
    ratio = (found[found > 0] / wanted[found > 0]).mean()
    assert np.allclose(found, wanted * ratio, atol=1e-3)  # turned, and as large on the whole
    assert (seen(model, X) ** 2).sum(axis=1).mean() == pytest.approx(12, rel=1e-3)


def test_what_hardly_differs_stays_small():
    constant = np.full((90, 1), 0.2, dtype=np.float32)
    X = np.hstack([constant, np.sqrt(0.96) * uneven()])  # of length 1 but for rounding
    model = TEMI(3, n_components=1.0, standardize=True, **TINY).fit(X)
    steps = np.tile(X.mean(axis=0), (2, 1))
    steps[1, 0] += 1e-6
    assert np.ptp(seen(model, steps), axis=0).max() < 0.01


def test_groups_are_found_and_the_fit_is_kept(tmp_path):
    X, truth = bunches(3)
    model = load_clusterer("temi", 3, 0, {"standardize": True}).fit(X)
    assert len(set(zip(truth, model.labels_, strict=True))) == 3
    save(model, "temi", tmp_path / "clusterer.npz")
    loaded, _ = load(tmp_path / "clusterer.npz")
    assert loaded.standardize
    assert np.allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-5)
