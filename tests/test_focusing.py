"""Focused embeddings, on captions of this project's own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from agentclust.embedders import load_embedder
from agentclust.ictc import focusing
from agentclust.metrics import external
from tests.scenes import PLACES, scenes


@pytest.fixture(scope="module")
def embed():
    return load_embedder("minilm").embed


def taught_on(embed, captions, truth, n, seed=0):
    vectors = embed(captions)
    taught = focusing.exemplars(vectors, n, seed)
    labels = [truth[i] for i in taught]
    return focusing.focus(vectors, taught, embed(labels)), taught, labels


def right(truth, clusters):
    return external(np.asarray(truth), np.asarray(clusters)).acc


def test_a_few_labels_turn_likeness_towards_the_criterion(embed):
    captions, truth = scenes(400)
    found, taught, labels = taught_on(embed, captions, truth, 64)
    assert len(taught) == 64
    clusters, likely = focusing.partition(found, len(PLACES), taught, labels, 0)
    plain = KMeans(len(PLACES), n_init=10, random_state=0).fit_predict(found.seen)
    assert right(truth, clusters) > 0.97 > 0.7 > right(truth, plain)
    assert 0 < likely.min() <= likely.max() <= 1


def test_groups_of_unequal_size_are_found_too(embed):
    captions, truth = scenes(400, skew=2.0)
    found, taught, labels = taught_on(embed, captions, truth, 64)
    clusters, _ = focusing.partition(found, len(PLACES), taught, labels, 0)
    assert right(truth, clusters) > 0.95


def test_the_seed_hardly_matters(embed):
    captions, truth = scenes(300)
    found = []
    for seed in range(3):
        focused, taught, labels = taught_on(embed, captions, truth, 64, seed)
        found.append(right(truth, focusing.partition(focused, 4, taught, labels, seed)[0]))
    assert max(found) - min(found) < 0.03


def test_labels_of_other_samples_are_predicted(embed):
    captions, truth = scenes(300)
    found, _, _ = taught_on(embed, captions, truth, 64)
    names = list(PLACES)
    predicted = [names[i] for i in focusing.nearest(found, embed(names))]
    assert np.mean([a == b for a, b in zip(predicted, truth, strict=True)]) > 0.95
    assert found.explained > 0.5


def test_labels_by_chance_explain_nothing(embed):
    captions, truth = scenes(300)
    shuffled = list(np.random.default_rng(0).permutation(truth))
    found, _, _ = taught_on(embed, captions, shuffled, 64)
    assert found.explained < 0.1


def test_one_label_for_all_tells_nothing_and_breaks_nothing(embed):
    captions, _ = scenes(140)
    found, taught, labels = taught_on(embed, captions, ["place"] * 140, 64)
    assert found.explained == 1
    assert not found.told.any()
    clusters, _ = focusing.partition(found, 3, taught, labels, 0)
    assert set(clusters) == {0, 1, 2}


def test_how_many_groups_there_seem_to_be(embed):
    captions, truth = scenes(400)
    found, taught, labels = taught_on(embed, captions, truth, 96)
    wanted = focusing.count(found, 0)
    assert wanted == len(PLACES)
    assert focusing.partition(found, wanted, taught, labels, 0)[0].max() + 1 == len(PLACES)


def test_equal_captions_give_as_many_exemplars_as_differ(embed):
    vectors = embed(["a dog", "a cat", "a dog", "a cat", "a dog"])
    assert len(focusing.exemplars(vectors, 4, 0)) == 2


def test_words_near_the_criterion_count_more(embed):
    captions, truth = scenes(400)
    vectors = embed(captions)
    focused = focusing.by_words(captions, vectors, embed(["place or scenery"])[0], embed)
    assert focused.shape == (400, 768)
    assert np.allclose(np.linalg.norm(focused, axis=1), 1, atol=1e-5)
    places = focused[:, 384:]
    names = np.array(truth)
    same = np.mean([places[names == name].std(axis=0).mean() for name in PLACES])
    assert same < 0.9 * places.std(axis=0).mean()


def test_captions_without_a_shared_word_stay_as_they_are(embed):
    captions = ["dog", "cat", "house"]
    focused = focusing.by_words(captions, embed(captions), embed(["animal"])[0], embed)
    assert focused.shape == (3, 384)


def test_votes_are_made_surer_in_their_order():
    likely = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    surer = focusing.surer(likely)
    assert surer.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(surer.argsort(axis=1), likely.argsort(axis=1))
    assert (surer.max(axis=1) > likely.max(axis=1)).all()
    assert np.array_equal(focusing.surer(np.eye(3)), np.eye(3))
