from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from agentclust.embedders.tfidf import TfIdf
from agentclust.errors import InputError
from agentclust.metrics import scores

PPMI = Path(__file__).parents[2] / "shared" / "data" / "captions" / "ppmi-instrument7"
GROUPS = np.repeat(np.arange(4), 30)  # four groups of thirty samples
WORDS = [f"label {group}" for group in GROUPS]
SURE = np.ones(len(GROUPS))


def blobs(spread: float = 0.1) -> np.ndarray:
    """Unit vectors around four corners, in the order of GROUPS."""
    vectors = np.eye(8)[GROUPS] + np.random.default_rng(0).normal(0, spread, (len(GROUPS), 8))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def shuffled(share: float, seed: int = 0) -> np.ndarray:
    """GROUPS with so many of its entries dealt out anew."""
    rng = np.random.default_rng(seed)
    groups = GROUPS.copy()
    chosen = np.flatnonzero(rng.random(len(groups)) < share)
    groups[chosen] = rng.permutation(groups[chosen])
    return groups


def test_information_is_one_where_names_part_the_labels_evenly_and_surely():
    assert scores.information(WORDS, GROUPS, SURE, 4) == pytest.approx(1)


def test_information_is_normalised_mutual_information_for_even_groups_without_doubt():
    groups = shuffled(0.5)
    expected = normalized_mutual_info_score(WORDS, groups)
    assert 0.1 < expected < 0.9
    assert scores.information(WORDS, groups, SURE, 4) == pytest.approx(expected)


def test_doubt_unassigned_and_unknown_samples_carry_no_information():
    half = scores.information(WORDS, GROUPS, SURE / 2, 4)
    assert half == pytest.approx(0.5)
    some = np.where(np.arange(len(GROUPS)) % 2, GROUPS, -1)
    assert scores.information(WORDS, some, SURE, 4) == pytest.approx(half)
    known = ["" if i % 2 else word for i, word in enumerate(WORDS)]
    assert scores.information(known, GROUPS, SURE, 4) == pytest.approx(half)
    assert scores.information(WORDS, np.full(len(GROUPS), -1), SURE * 0, 4) == 0
    assert scores.information([""] * len(GROUPS), GROUPS, SURE, 4) == 0


def test_one_name_for_everything_and_names_without_members_say_less():
    assert scores.information(WORDS, GROUPS * 0, SURE, 1) == 0
    assert scores.information(WORDS, GROUPS * 0, SURE, 4) == pytest.approx(0)
    assert scores.information(WORDS, GROUPS, SURE, 8) < 0.85
    assert scores.information(["same"] * len(GROUPS), GROUPS * 0, SURE, 1) == 0


def test_agreement_falls_with_every_sample_that_is_placed_wrongly():
    found = [scores.agreement(shuffled(share), blobs(), 4) for share in (0.0, 0.2, 0.5, 1.0)]
    assert found[0] == 1
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.05


def test_agreement_sees_merged_and_unassigned_groups():
    assert scores.agreement(np.minimum(GROUPS, 2), blobs(), 4) < 0.8
    some = np.where(np.arange(len(GROUPS)) % 2, GROUPS, -1)
    assert scores.agreement(some, blobs(), 4) < 0.6


def test_agreement_of_equal_vectors_and_of_one_group_needs_no_warning():
    corners = np.eye(8)[GROUPS]
    assert scores.agreement(GROUPS, corners, 9) == 1  # of four distinct vectors
    assert scores.agreement(GROUPS, np.ones((len(GROUPS), 2)), 4) == 0


def test_agreement_compares_a_part_of_many_samples_and_is_repeatable():
    groups, vectors = np.tile(GROUPS, 40), np.tile(blobs(), (40, 1))
    assert len(groups) > scores.COMPARED
    assert scores.agreement(groups, vectors, 4) == scores.agreement(groups, vectors, 4) == 1
    dealt = np.random.default_rng(0).permutation(groups)
    assert scores.agreement(dealt, vectors, 4) < 0.05


def test_echo_falls_where_captions_are_nearer_to_other_names():
    names = np.eye(8)[:4]
    found = [scores.echo(shuffled(share), blobs(), names) for share in (0.0, 0.2, 0.5, 1.0)]
    assert found[0] == pytest.approx(1)
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.1


def test_a_few_samples_in_as_many_groups_need_no_warning():
    few = np.arange(3)
    assert scores.information(["a", "b", "c"], few, np.ones(3), 3) == pytest.approx(1)
    assert scores.agreement(few, np.eye(3), 3) == scores.echo(few, np.eye(3), np.eye(3)) == 1


def test_quality_is_the_mean_of_two_second_opinions():
    known = {"agreement": 0.9, "echo": 0.5, "information": 0.1, "unassigned": 1.0}
    assert scores.quality(known) == pytest.approx(0.7)
    del known["agreement"]
    assert scores.quality(known) == pytest.approx(0.3)
    assert scores.quality({"information": 0.4}) == 0.4
    with pytest.raises(InputError, match="compute information first"):
        scores.quality({"unassigned": 0.0})


def test_largest_says_which_cluster_swallows_the_others():
    assert scores.largest(np.array([2, 2, 2, 0, -1, -1])) == (0.75, 2)
    assert scores.largest(np.array([-1, -1])) == (0.0, -1)


def test_confused_finds_two_names_for_one_thing():
    table = np.array([[0.5, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0], [0.6, 0.0, 0.4, 0.0]])
    overlap, first, second = scores.confused(table, np.array([10.0, 10.0, 10.0]))
    assert (first, second) == (0, 2)
    assert overlap == pytest.approx(0.9)  # 2 * (0.5 + 0.4) / 2
    assert scores.confused(np.eye(3, 4), np.ones(3))[0] == 0


def test_confused_passes_over_names_that_hold_next_to_nothing():
    table = np.array([[0.998, 0.001, 0.001, 0.0], [0.9, 0.0, 0.0, 0.1]])
    assert scores.confused(table, np.array([1.0, 1.0]))[0] < 0.01


@pytest.mark.parametrize(
    "call",
    [
        lambda: scores.information([], np.array([], dtype=int), np.array([]), 2),
        lambda: scores.information(WORDS, GROUPS[1:], SURE, 4),
        lambda: scores.agreement(GROUPS, blobs()[1:], 4),
        lambda: scores.agreement(GROUPS, blobs(), 0),
        lambda: scores.echo(GROUPS, blobs(), np.eye(5)),
        lambda: scores.echo(GROUPS, blobs(), np.zeros((0, 8))),
        lambda: scores.confused(np.ones((2, 2)) / 2, np.ones(2)),
        lambda: scores.confused(np.ones((2, 3)) / 3, np.ones(5)),
    ],
)
def test_input_that_does_not_fit_is_named(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.skipif(not PPMI.exists(), reason="the published captions are not on this machine")
def test_scores_of_a_published_clustering_fall_as_it_is_spoilt():
    captions = [
        json.loads(line)["caption"]
        for line in (PPMI / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    table = (PPMI / "ictc_gpt4.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(table))
    names, clusters = np.unique([row["assignment"] for row in rows], return_inverse=True)
    words = [row["raw_label"] for row in rows]
    both = TfIdf().embed([*captions, *names])
    texts, named = both[: len(rows)], both[len(rows) :]
    joined = np.hstack([texts, TfIdf().embed(words)])
    found = []
    for share in (0.0, 0.3, 0.6):
        rng = np.random.default_rng(1)
        spoilt = np.where(rng.random(len(rows)) < share, rng.permutation(clusters), clusters)
        found.append(
            (
                scores.information(words, spoilt, np.ones(len(rows)), len(names)),
                scores.agreement(spoilt, joined, len(names)),
                scores.echo(spoilt, texts, named),
            )
        )
    assert np.all(np.diff(found, axis=0) < -0.1), found
    assert min(found[0]) > 0.6, found
