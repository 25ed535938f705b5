import numpy as np
import pytest

from agentclust.metrics.probes import probes
from tests.complaints import complains
from tests.test_clusterers import bunches


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def test_vectors_that_tell_the_classes_apart_and_such_as_do_not():
    X, truth = bunches(4, each=25)
    names = [f"class {one}" for one in truth]
    assert probes(unit(X), names) == {"linear_probe": 1.0, "knn_probe": 1.0}
    mixed = np.random.default_rng(0).permutation(names)
    assert all(value < 0.5 for value in probes(unit(X), mixed).values())


def test_what_was_not_shown_is_not_known():
    # every row is a class member of its own kind: a probe that saw its row would be right
    X = unit(np.random.default_rng(0).normal(size=(40, 200)))
    names = [str(i % 2) for i in range(40)]
    assert all(value < 0.8 for value in probes(X, names).values())


def test_a_rare_class_does_not_stop_it():
    X, truth = bunches(3, each=10)
    names = [str(one) for one in truth]
    names[0] = "alone"
    found = probes(unit(X), names)
    assert found["knn_probe"] == pytest.approx(29 / 30)
    few = probes(unit(X[[0, 1, 10, 11]]), ["a", "a", "b", "b"])
    assert few == {"linear_probe": 1.0, "knn_probe": 1.0}


@pytest.mark.parametrize("names", [["a"] * 4, ["a", "b", "c", "d"], ["a", "a", "a", "b"]])
def test_labels_that_teach_nothing(names):
    with complains("the labels: ", "teach a classifier nothing; leave --probe away"):
        probes(unit(np.eye(4)), names)
