from __future__ import annotations

import itertools

import numpy as np
import pytest

from agentclust.errors import InputError
from agentclust.metrics import calibration_error, external, internal


def brute_force_acc(truth: list[str], labels: np.ndarray) -> float:
    """ACC by its definition: the best of all one-to-one mappings of clusters to classes."""
    classes = sorted(set(truth))
    clusters = sorted(set(labels.tolist()) - {-1})
    targets = [*classes, *[None] * len(clusters)]
    best = max(
        sum(mapping.get(label) == name for label, name in zip(labels.tolist(), truth, strict=True))
        for chosen in itertools.permutations(targets, len(clusters))
        for mapping in [dict(zip(clusters, chosen, strict=True))]
    )
    return best / len(truth)


def test_a_perfect_clustering_under_other_numbers():
    scores = external(["cat", "dog", "cat", "eel"], np.array([2, 0, 2, 1]))
    assert (scores.n, scores.acc, scores.nmi, scores.ari) == (4, 1.0, 1.0, 1.0)
    assert scores.classes == ("cat", "dog", "eel")
    assert scores.matching == {0: 2, 1: 0, 2: 1}
    assert scores.counts.tolist() == [[0, 0, 2, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert scores.ece is None
    assert "ece" not in scores.summary()


@pytest.mark.parametrize("n_clusters", [2, 3, 4, 5])
def test_acc_is_the_best_mapping_whatever_the_number_of_clusters(n_clusters):
    random = np.random.default_rng(n_clusters)
    for _ in range(20):
        truth = random.choice(["a", "b", "c"], 40).tolist()
        labels = random.integers(-1, n_clusters, 40)
        scores = external(truth, labels, n_clusters=n_clusters)
        assert scores.acc == pytest.approx(brute_force_acc(truth, labels))
        assert scores.counts.sum() == 40
        assert scores.counts.shape == (3, n_clusters + 1)


def test_unassigned_samples_are_errors_and_a_cluster_of_their_own():
    truth = ["a"] * 5 + ["b"] * 5
    labels = np.array([0, 0, 0, 0, -1, 1, 1, 1, 1, -1])
    scores = external(truth, labels)
    assert (scores.n, scores.unassigned, scores.n_clusters) == (10, 2, 2)
    assert scores.acc == 0.8
    assert scores.counts[:, -1].tolist() == [1, 1]
    as_a_cluster = external(truth, np.where(labels < 0, 2, labels))
    assert (scores.nmi, scores.ari) == (as_a_cluster.nmi, as_a_cluster.ari)
    assert scores.nmi < 1 > scores.ari


def test_all_unassigned():
    scores = external(["a", "b"], np.array([-1, -1]), np.zeros(2))
    assert (scores.acc, scores.unassigned, scores.n_clusters, scores.matching) == (0.0, 2, 0, {})
    assert scores.ece == 0.0


def test_nmi_is_normalised_by_the_arithmetic_mean():
    # H(truth) = ln 2, H(labels) = ln 4, mutual information = ln 2: 2 ln 2 / (ln 2 + ln 4)
    scores = external(["a", "a", "b", "b"], np.array([0, 1, 2, 3]))
    assert scores.nmi == pytest.approx(2 / 3)
    assert scores.acc == 0.5


def test_many_small_clusters_give_no_warning():
    names = [f"class {i}" for i in range(60)]
    assert external(names, np.arange(60)).acc == 1.0


def test_chance_gives_an_ari_near_zero():
    random = np.random.default_rng(0)
    truth = random.choice(["a", "b", "c", "d"], 5000).tolist()
    assert abs(external(truth, random.integers(0, 4, 5000)).ari) < 0.01


def test_empty_clusters_count_where_the_caller_knows_of_them():
    scores = external(["a", "b"], np.array([0, 1]), n_clusters=5)
    assert scores.n_clusters == 5
    assert scores.counts.shape == (2, 6)


def test_purity_lets_many_clusters_share_a_class_and_counts_the_unassigned_as_errors():
    truth = ["a", "a", "a", "b", "b", "b"]
    assert external(truth, np.array([0, 1, 1, 2, 2, 3])).purity == 1
    assert external(truth, np.array([0, 0, 0, 0, 1, -1])).purity == pytest.approx(4 / 6)


def test_summary_is_plain_and_ordered():
    summary = external(["a", "b"], np.array([0, 1]), np.array([0.9, 0.7])).summary()
    assert list(summary) == [
        "n", "acc", "nmi", "ari", "purity", "unassigned", "n_clusters", "ece"
    ]  # fmt: skip
    assert {type(value) for value in summary.values()} == {int, float}
    assert summary["ece"] == pytest.approx(0.2)


def test_calibration_error_by_hand():
    # (0.6, 0.7]: 2 samples, mean confidence .66, accuracy .5; (0.9, 1]: 2 samples, .95, 1
    error = calibration_error(
        np.array([0.7, 0.62, 1.0, 0.9 + 1e-9]), np.array([True, False, True, True])
    )
    assert error == pytest.approx(0.5 * 0.16 + 0.5 * 0.05, abs=1e-6)


def test_calibration_bins_close_on_the_right():
    # 0.3 is in (0.2, 0.3], alone with its error; in a bin with 0.31 the two errors would cancel
    error = calibration_error(np.array([0.3, 0.31]), np.array([True, False]))
    assert error == pytest.approx((0.7 + 0.31) / 2)
    assert calibration_error(np.array([0.0, 0.1]), np.array([False, False])) == pytest.approx(0.05)


def test_calibration_of_a_calibrated_predictor_is_small():
    random = np.random.default_rng(1)
    confidences = random.uniform(0, 1, 20_000)
    right = random.uniform(0, 1, 20_000) < confidences
    assert calibration_error(confidences, right) < 0.02
    assert calibration_error(np.ones(20_000), right) == pytest.approx(0.5, abs=0.02)


def test_calibration_leaves_the_unassigned_out():
    truth, labels = ["a", "a", "b", "b"], np.array([0, 0, 1, -1])
    assert external(truth, labels, np.array([0.8, 0.8, 0.8, 0.0])).ece == pytest.approx(0.2)


def test_internal_scores():
    labels = np.array([0, 0, 0, 1, 1, 1, -1, -1])
    confidences = np.array([1.0, 0.9, 0.4, 0.5, 0.8, 0.6, 0.0, 0.0])
    scores = internal(labels, confidences, n_clusters=4)
    assert scores["unassigned"] == 0.25
    assert scores["unsure"] == 0.125
    assert scores["confidence"] == pytest.approx(0.7)
    assert scores["balance"] == pytest.approx(0.5)  # ln 2 / ln 4
    assert scores["largest"] == 0.5
    assert scores["empty"] == 2


@pytest.mark.parametrize(("labels", "balance"), [([0, 1, 2], 1.0), ([1, 1, 1], 0.0)])
def test_balance_at_its_ends(labels, balance):
    scores = internal(np.array(labels), np.ones(3), 3)
    assert scores["balance"] == pytest.approx(balance)
    assert str(scores["balance"])[0] != "-"


def test_internal_scores_of_nothing_assigned():
    scores = internal(np.array([-1, -1]), np.zeros(2), 3)
    assert scores == {
        "unassigned": 1.0,
        "unsure": 0.0,
        "confidence": 0.0,
        "balance": 0.0,
        "largest": 0.0,
        "empty": 3.0,
    }


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: external([], np.array([], dtype=int)), "no samples"),
        (lambda: internal(np.array([], dtype=int), np.array([]), 2), "no samples"),
        (lambda: calibration_error(np.array([]), np.array([], dtype=bool)), "no samples"),
        (lambda: external(["a"], np.array([0, 1])), "1 true labels"),
        (lambda: external(["a", "b"], np.array([0, 1]), np.ones(3)), "3 confidences"),
        (lambda: external(["a", "b"], np.array([0.5, 1])), "integers"),
        (lambda: external(["a", "b"], np.array([0, 2]), n_clusters=2), "-1..1"),
        (lambda: internal(np.array([-2, 0]), np.ones(2), 2), "-2..0"),
    ],
)
def test_what_cannot_be_scored_says_so_in_one_line(call, words):
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
