from __future__ import annotations

import numpy as np
import pytest
from report_pages import clustering, read

from agentclust.metrics import external
from agentclust.report import Agreement, View, write
from agentclust.report.confusion import confusion
from agentclust.report.gallery import SHOWN, groups

# which members are shown


def test_the_most_and_the_least_confident_are_shown():
    confidences = np.random.default_rng(0).permutation(np.linspace(0.2, 1, 100))
    (group,), _ = groups(clustering([""] * 100, [0] * 100, ["a"], confidences))
    ranked = np.argsort(-confidences)
    assert group.first == tuple(ranked[: SHOWN * 2 // 3])
    assert group.last == tuple(ranked[::-1][: SHOWN // 3])
    assert (group.size, group.more, group.ranked) == (100, 100 - SHOWN, True)


def test_equal_confidences_claim_no_order():
    (group,), _ = groups(clustering([""] * 100, [0] * 100, ["a"]))
    assert group.first == tuple(range(SHOWN))
    assert (group.last, group.ranked) == ((), False)


def test_a_small_cluster_is_shown_whole():
    (group,), _ = groups(clustering([""] * 5, [0] * 5, ["a"], [0.1, 0.5, 0.9, 0.3, 0.7]))
    assert group.first == (2, 4, 1, 3, 0)
    assert (group.last, group.more) == ((), 0)


def test_clusters_come_by_size_and_keep_their_index():
    found, unassigned = groups(clustering([""] * 7, [2, 2, 0, 2, 0, -1, -1], ["a", "b", "c"]))
    assert [(group.index, group.name, group.size) for group in found] == [
        (2, "c", 3),
        (0, "a", 2),
        (1, "b", 0),
    ]
    assert unassigned.first == (5, 6)
    assert unassigned.share == pytest.approx(2 / 7)


@pytest.mark.parametrize("n_clusters", [2, 30, 200, 1500])
def test_many_clusters_share_the_room(n_clusters):
    labels = np.arange(30 * n_clusters) % n_clusters
    confidences = np.linspace(0, 1, len(labels))
    found, _ = groups(
        clustering([""] * len(labels), labels, map(str, range(n_clusters)), confidences)
    )
    shown = [len(group.first) + len(group.last) for group in found]
    assert min(shown) >= 1
    assert sum(shown) <= max(480, n_clusters)


# the confusion matrix


def test_matched_pairs_stand_on_the_diagonal():
    truth = ["a"] * 5 + ["b"] * 5 + ["c"] * 4
    labels = np.array([2, 2, 2, 2, 0, 0, 0, 0, -1, 0, 1, 0, 1, 1])
    scores = external(truth, labels, n_clusters=4)
    agreement = Agreement(scores.summary(), scores.classes, scores.counts, scores.matching)
    matrix = confusion(agreement, ("zero", "one", "two", "three"))
    assert matrix.columns == ["two", "zero", "one", "three", "unassigned"]
    assert [(name, total) for name, total, _ in matrix.rows] == [("a", 5), ("b", 5), ("c", 4)]
    assert [[cell.count for cell in cells] for _, _, cells in matrix.rows] == [
        [4, 1, 0, 0, 0],
        [0, 4, 0, 0, 1],
        [0, 1, 3, 0, 0],
    ]
    assert [[cell.matched for cell in cells][:3] for _, _, cells in matrix.rows] == np.eye(
        3
    ).tolist()
    assert matrix.rows[0][2][0].level == 8
    assert {(m.true_class, m.cluster, m.count, m.of) for m in matrix.mistakes} == {
        ("a", "zero", 1, 5),
        ("b", "unassigned", 1, 5),
        ("c", "zero", 1, 4),
    }


def test_a_matrix_nobody_could_read_is_left_out(tmp_path):
    n = 300
    labels = np.arange(n)
    labels[:4] = [1, 0, 3, -1]
    found = clustering([""] * n, labels, [f"cluster {i}" for i in range(n)])
    scores = external([f"class {i:03d}" for i in range(n)], labels, n_clusters=n)
    agreement = Agreement(scores.summary(), scores.classes, scores.counts, scores.matching)
    page = read(write(View(found, agreements=(agreement,)), tmp_path / "report.html"))
    assert not page.all("table", **{"class": "matrix"})
    assert "class 003 → unassigned 1 of 1" in page.words()
