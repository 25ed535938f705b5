"""Vectors in two dimensions."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from agentclust.clusterers.flattening import FEW, flattened, usual
from tests.test_clusterers import bunches


def test_umap_keeps_near_what_is_near_and_repeats_itself():
    X, truth = bunches(5, each=20, spread=0.2)
    places = flattened(X, "umap", seed=3)
    assert places.shape == (100, 2)
    _, near = NearestNeighbors(n_neighbors=6).fit(places).kneighbors(places)
    assert (truth[near[:, 1:]] == truth[:, None]).mean() > 0.95
    assert np.array_equal(places, flattened(X, "umap", seed=3))
    assert not np.array_equal(places, flattened(X, "umap", seed=4))
    assert not {"torchvision", "tensorflow"} & sys.modules.keys()


@pytest.mark.parametrize("way", ["umap", "pca"])
def test_rows_that_do_not_differ_lie_in_one_place(way):
    for rows in (np.ones((60, 8)), np.zeros((60, 8)), np.ones((1, 8))):
        assert not flattened(rows, way).any()
    twice = np.repeat(np.eye(8), 8, axis=0)
    assert np.isfinite(flattened(twice, way)).all()


def test_principal_components_are_those_of_the_directions():
    X = np.array([[2.0, 0], [0, 5], [1, 1]])
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    found = flattened(X, "pca")
    assert np.allclose(found @ found.T, centred @ centred.T, atol=1e-6)
    assert flattened([[1.0], [2.0], [-1.0]], "pca").shape == (3, 2)


def test_few_rows_are_not_for_umap():
    assert (usual(FEW - 1), usual(FEW)) == ("pca", "umap")


def test_without_umap_there_are_principal_components():
    code = (
        "import sys; sys.modules['umap'] = None\n"
        "from agentclust.clusterers.flattening import usual\n"
        "print(usual(1000))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "pca\n"
