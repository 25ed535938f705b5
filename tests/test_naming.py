"""Cluster names, and the score that chooses among candidate sets of them."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from agentclust import ictc
from agentclust.ictc import naming, speaking
from tests.plugged import Proposing
from tests.steps import calls, labelled, opened


def table(*rows):
    return np.array(rows, dtype=float)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_a_perfect_even_partition_tells_log_k(k):
    rows = np.repeat(np.eye(k + 1)[:k], 3, axis=0)
    counts = {f"label {i}": 5 for i in range(3 * k)}
    assert naming.information(rows, counts) == pytest.approx(log(k))


def test_one_name_that_swallows_all_tells_nothing():
    rows = table(*[[1, 0, 0, 0]] * 4)
    assert naming.information(rows, dict.fromkeys("abcd", 3)) == pytest.approx(0)


def test_not_knowing_tells_nothing():
    rows = table(*[[0.5, 0.5, 0]] * 4)
    assert naming.information(rows, dict.fromkeys("abcd", 3)) == pytest.approx(0)


def test_what_no_name_holds_is_lost():
    whole = table([1, 0, 0], [0, 1, 0])
    half = table([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1])
    assert naming.information(half, dict.fromkeys("abcd", 3)) == pytest.approx(log(2) / 2)
    assert naming.information(whole, dict.fromkeys("ab", 3)) == pytest.approx(log(2))
    assert naming.information(table([0, 0, 1]), {"a": 1}) == 0


def test_mass_on_none_counts_like_images_on_none():
    spread = table([0.5, 0, 0.5], [0, 0.5, 0.5])
    assert naming.information(spread, {"a": 1, "b": 1}) == pytest.approx(log(2) / 2)


def test_frequent_labels_weigh_more():
    rows = table([1, 0, 0], [0, 1, 0])
    even, uneven = ({"a": 5, "b": 5}, {"a": 9, "b": 1})
    entropy = -(0.9 * log(0.9) + 0.1 * log(0.1))
    assert naming.information(rows, uneven) == pytest.approx(entropy)
    assert naming.information(rows, even) > naming.information(rows, uneven)


def test_information_never_leaves_its_bounds():
    rng = np.random.default_rng(3)
    for _ in range(50):
        k, n = rng.integers(2, 6), rng.integers(1, 9)
        rows = rng.dirichlet(np.full(k + 1, 0.3), size=n)
        counts = {str(i): int(count) for i, count in enumerate(rng.integers(1, 50, n))}
        assert -1e-12 <= naming.information(rows, counts) <= log(k) + 1e-12


def test_affinity_asks_only_for_labels_that_are_no_names(tmp_path):
    counts = {"ball": 4, "small ball": 2, "sofa": 1}
    with opened(tmp_path, labelled("ball")) as work, work.paying("name"):
        found = naming.affinity(work, counts, ("ball", "cone"))
        assert calls(work, "name") == 2
    assert found.shape == (3, 3)
    assert found.sum(axis=1) == pytest.approx(np.ones(3))
    assert found[0].tolist() == [1, 0, 0]
    assert found[1].argmax() == 0
    assert found[2].argmax() == 2


def test_affinity_asks_for_the_frequent_labels_alone(tmp_path):
    counts = {f"ball number{'x' * i}": 200 - i for i in range(naming.CHECKED + 20)}
    with opened(tmp_path, labelled("ball")) as work, work.paying("name"):
        found = naming.affinity(work, counts, ("ball", "cone"))
        assert calls(work, "name") == naming.CHECKED
    assert (found[naming.CHECKED :, -1] == 1).all()
    assert (found[: naming.CHECKED, 0] > 0.5).all()


def test_the_best_candidate_comes_first_and_is_taken(tmp_path):
    # the frequent labels overlap, what the model proposes does not
    labels = ["ball"] * 9 + ["red ball"] * 8 + ["blue ball"] * 7 + ["cone"] * 6 + ["red cone"] * 6
    model = Proposing(proposal="ball\ncone")
    with opened(tmp_path, labelled(*labels), model) as work:
        for step in (ictc.caption, ictc.label, ictc.name):
            step(work)
        found = work.run.read("clusters.json")
    scores = [candidate["score"] for candidate in found["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) >= 2
    assert found["names"] == found["candidates"][0]["names"] == ["ball", "cone"]
    assert found["source"].startswith("proposal")


def test_as_many_labels_as_clusters_need_no_question(tmp_path):
    with opened(tmp_path, labelled("ball", "cone", "ball")) as work, work.paying("name"):
        best = naming.propose(work, {"ball": 2, "cone": 1})[0]
        assert calls(work, "name") == 0
    assert best.names == ("ball", "cone")


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("ball\ncone\n", ["ball", "cone"]),
        ("ball, cone, the ring", ["ball", "cone", "ring"]),
        ("- Ball (12)\n- Cone (3)", ["ball", "cone"]),
        ("1. ball\n1. ball\nunknown\nnone of these\n", ["ball"]),
        ("x" * 50 + "\nball", ["ball"]),
        ("", []),
    ],
)
def test_names_are_read_off_an_answer(answer, names):
    assert naming.parse(answer) == names


def test_words_that_nearly_every_text_has_tell_no_group_from_another():
    ships = ["A picture of a large ship", "A picture with a ship on water", "A picture: a ship"]
    dogs = ["A picture of a dog", "A picture with a dog on grass", "A picture: a dog"]
    first, second = speaking.keywords([ships, dogs])
    assert first[0] == "ship"
    assert second[0] == "dog"
    assert "picture" not in first + second


def test_words_are_told_even_where_all_texts_are_alike():
    assert speaking.keywords([["a red ball"], ["a red ball"]]) == [["ball", "red"]] * 2
    assert speaking.keywords([["x"], []]) == [[], []]
