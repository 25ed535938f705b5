import numpy as np
import pytest
from sklearn import metrics as theirs

from agentclust.metrics import external
from agentclust.metrics.agreement import details


def found(truth, labels):
    scores = external(truth, np.array(labels))
    return details(scores.classes, scores.counts, [f"g{i}" for i in range(scores.n_clusters)])


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_labels(seed):
    random = np.random.default_rng(seed)
    truth, labels = random.integers(0, 4, 200), random.integers(-1, 6, 200)
    truth[:90] = labels[:90] % 4
    known = found([str(one) for one in truth], labels)
    assert known["v_measure"] == pytest.approx(theirs.v_measure_score(truth, labels))
    assert known["homogeneity"] == pytest.approx(theirs.homogeneity_score(truth, labels))
    assert known["completeness"] == pytest.approx(theirs.completeness_score(truth, labels))
    assert known["ami"] == pytest.approx(theirs.adjusted_mutual_info_score(truth, labels))
    expected = theirs.fowlkes_mallows_score(truth, labels)
    assert known["fowlkes_mallows"] == pytest.approx(expected)


def test_the_best_and_the_worst_clusters_are_told():
    truth = list("aaaaabbbababc")
    known = found(truth, [0] * 5 + [1] * 3 + [3] * 2 + [4] * 3)  # nothing is in 2
    assert [one["name"] for one in known["best"]] == ["g0", "g1", "g3", "g4"]
    assert known["worst"] == known["best"][::-1]
    last = {"cluster": 4, "name": "g4", "size": 3, "class": "a", "share": 0.3333}
    assert known["worst"][0] == last


def test_nothing_assigned_has_no_best_cluster():
    known = found(["a", "b"], [-1, -1])
    assert (known["best"], known["worst"]) == ([], [])
