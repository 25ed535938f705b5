import doctest
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score, silhouette_samples
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import check_estimator

from agentclust.clusterers import consensus, kmeans, load_clusterer, ward
from agentclust.clusterers.consensus import Consensus
from agentclust.clusterers.counting import Curve, silhouettes
from agentclust.clusterers.kmeans import KMeans
from agentclust.clusterers.ward import Ward
from agentclust.errors import MissingExtra
from tests.complaints import complains

EACH = pytest.mark.parametrize("kind", [KMeans, Ward, Consensus])


def bunches(k, each=30, spread=0.15, width=16, seed=0):
    """Vectors of any length in k directions, and the direction of each."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(k), each)
    rows = np.linalg.qr(random.normal(size=(width, width)))[0][truth]
    rows = rows + spread * random.normal(size=rows.shape)
    return rows * random.uniform(0.1, 10, size=(len(rows), 1)), truth


@EACH
@pytest.mark.parametrize("k", [3, 6, 11])
def test_directions_are_found_whatever_the_length(kind, k):
    X, truth = bunches(k)
    model = kind(n_clusters=k, random_state=0)
    assert model.fit(X) is model
    assert adjusted_rand_score(truth, model.labels_) == 1
    assert model.n_clusters_ == k
    assert model.centers_.shape == (k, 16)
    assert np.allclose(np.linalg.norm(model.centers_, axis=1), 1)
    own = model.distances_[np.arange(len(X)), model.labels_]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert np.allclose(own, 1 - np.sum(unit * model.centers_[model.labels_], axis=1))
    assert np.array_equal(model.predict(X), model.labels_)


@EACH
@pytest.mark.parametrize("k", [2, 5, 9])
def test_auto_finds_how_many_there_are(kind, k):
    X, truth = bunches(k, each=40, spread=0.12)
    model = kind(random_state=0, max_clusters=14).fit(X)
    assert model.n_clusters_ == k
    assert adjusted_rand_score(truth, model.labels_) == 1


@EACH
def test_auto_looks_at_a_part_of_many_rows(kind):
    X, truth = bunches(4, each=800, spread=0.1, width=6)
    model = kind(random_state=0, max_clusters=6).fit(X)
    assert (model.n_clusters_, adjusted_rand_score(truth, model.labels_)) == (4, 1)
    assert (model.curve_.looked_at, model.curve_.n_rows) == (2000, 3200)


@EACH
def test_the_curve_tells_what_each_number_gave(kind):
    X, _ = bunches(5, each=20, spread=0.12)
    curve = kind(random_state=0, max_clusters=9).fit(X).curve_
    assert curve.counts == tuple(range(2, 10))
    assert (curve.looked_at, curve.n_rows, curve.n_clusters) == (100, 100, 5)
    assert max(curve.scores) == curve.scores[3] > 0.7
    assert kind(n_clusters=5, random_state=0).fit(X).curve_ is None


@EACH
def test_auto_goes_on_where_more_clusters_clearly_gain(kind):
    X, truth = bunches(58, each=20, spread=0.1, width=64)
    model = kind(random_state=0).fit(X)
    assert model.curve_.counts[: kind.usual - 1] == tuple(range(2, kind.usual + 1))
    assert kind.usual < model.n_clusters_ <= 64  # a tenth more each time
    assert adjusted_rand_score(truth, model.labels_) > 0.9
    assert model.curve_.counts[-1] > model.n_clusters_  # until it gains no more
    assert kind(random_state=0, max_clusters=20).fit(X).n_clusters_ <= 20


@EACH
def test_auto_ends_where_more_clusters_gain_nothing(kind):
    X, _ = bunches(5, each=120, spread=0.5)
    assert kind(random_state=0).fit(X).curve_.counts[-1] == kind.usual


def test_the_fewest_within_one_standard_error_are_chosen():
    curve = Curve((2, 3, 4, 5), (0.1, 0.48, 0.5, 0.3), (0.0, 0.5, 0.03, 0.0), 10, 10)
    assert curve.n_clusters == 3
    assert replace(curve, errors=(0, 0.5, 0.01, 0)).n_clusters == 4
    assert curve.as_json()["tried"][1] == {
        "n_clusters": 3, "silhouette": 0.48, "standard_error": 0.5,
    }  # fmt: skip


def test_the_silhouette_is_that_of_scikit_learn():
    X, truth = bunches(4, spread=0.4)
    rows = normalize(X)
    ((mean, error), (alone, _)) = silhouettes(rows, [truth, np.zeros(len(X), int)], 0)
    values = silhouette_samples(rows, truth, metric="cosine")
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std() / len(values) ** 0.5)
    assert alone == -1


@EACH
def test_confidence_is_least_between_two_clusters(kind):
    X = np.array([[1, 0.0], [1, 0.02], [1, 0.04], [0, 1], [0.02, 1], [0.04, 1], [1, 0.95]])
    model = kind(n_clusters=2, temperature=0.1, random_state=0).fit(X)
    sure = model.probabilities_
    assert ((sure >= 0) & (sure <= 1)).all()
    assert np.argmin(sure) == 6
    assert sure[6] < 0.9 < sure[:6].min()
    # the definition, for one row
    weights = np.exp((1 - model.distances_[6]) / 0.1)
    assert sure[6] == pytest.approx(weights[model.labels_[6]] / weights.sum())


def test_the_nearest_center_is_a_rows_own():
    X, _ = bunches(8, spread=0.6)
    model = KMeans(n_clusters=8, random_state=0).fit(X)
    assert np.array_equal(model.labels_, np.argmin(model.distances_, axis=1))
    assert model.probabilities_.min() >= 1 / 8


@EACH
def test_a_row_of_zeros_is_unassigned(kind):
    X, _ = bunches(3)
    X[[4, 50]] = 0
    model = kind(n_clusters=3, random_state=0).fit(X)
    assert np.flatnonzero(model.labels_ == -1).tolist() == [4, 50]
    assert np.flatnonzero(model.probabilities_ == 0).tolist() == [4, 50]
    assert model.n_clusters_ == 3
    assert model.predict([X[0], X[4]]).tolist() == [model.labels_[0], -1]
    with complains("the vectors: are all zero"):
        kind().fit(np.zeros((5, 3)))


@EACH
@pytest.mark.parametrize(
    ("different", "wanted", "found"),
    [(1, 3, 1), (1, "auto", 1), (2, "auto", 2), (3, 5, 3), (3, "auto", 3), (4, 4, 4)],
)
def test_no_more_clusters_than_rows_that_differ(kind, different, wanted, found):
    X = np.eye(6)[np.arange(12) % different]
    model = kind(n_clusters=wanted, random_state=0).fit(X)
    assert model.n_clusters_ == found
    assert set(model.labels_) == set(range(found))
    assert kind(n_clusters=wanted).fit(X[:1]).labels_.tolist() == [0]


@EACH
@pytest.mark.parametrize("wanted", [0, -2, 2.5, "many", None])
def test_what_is_no_number_of_clusters(kind, wanted):
    with complains(f"n_clusters={wanted!r}: is no number of clusters"):
        kind(n_clusters=wanted).fit(np.eye(4))


def test_a_seed_repeats_and_restarts_make_seeds_agree():
    X, _ = bunches(12, spread=0.3)
    one = KMeans(n_clusters=12, random_state=3).fit(X)
    again = KMeans(n_clusters=12, random_state=3).fit(X)
    assert np.array_equal(one.labels_, again.labels_)
    assert np.array_equal(one.probabilities_, again.probabilities_)

    def agreement(n_init):
        runs = [KMeans(12, n_init=n_init, random_state=seed).fit(X).labels_ for seed in range(5)]
        return np.mean([adjusted_rand_score(runs[0], run) for run in runs[1:]])

    assert agreement(10) > agreement(1)


@pytest.mark.parametrize("k", [2, 5, 17])
def test_ward_merges_as_scikit_learn_does(k):
    X, _ = bunches(7, spread=0.5)
    theirs = AgglomerativeClustering(k).fit_predict(normalize(X))
    assert adjusted_rand_score(theirs, Ward(n_clusters=k).fit(X).labels_) == 1


def test_ward_refuses_what_memory_cannot_hold():
    with complains("20001 vectors: are over 20000; use kmeans"):
        Ward(n_clusters=2).fit(np.ones((20_001, 1)) * [[1.0, 2.0]])


@EACH
@pytest.mark.parametrize("wanted", [2, "auto"])
def test_scikit_learn_takes_them_for_its_own(kind, wanted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its checks themselves warn of
        check_estimator(kind(n_clusters=wanted, max_clusters=4), on_skip=None)


@pytest.mark.parametrize("module", [consensus, kmeans, ward])
def test_the_examples_run(module):
    done = doctest.testmod(module)
    assert (done.attempted, done.failed) == (2, 0)


# finding one by name


def test_a_clusterer_by_name():
    found = load_clusterer("kmeans", 7, seed=3)
    assert (type(found), found.n_clusters, found.random_state) == (KMeans, 7, 3)
    assert type(load_clusterer("ward", "auto")) is Ward
    assert load_clusterer("ward", "auto").n_clusters == "auto"


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("sklearn.cluster:MiniBatchKMeans", {"n_clusters": 3, "random_state": 5}),
        ("sklearn.cluster:AgglomerativeClustering", {"n_clusters": 3}),
        ("sklearn.cluster:DBSCAN", {}),
    ],
)
def test_a_class_of_others_is_given_what_it_takes(name, taken):
    found = load_clusterer(name, 3, seed=5)
    known = found.get_params()
    assert {word: known[word] for word in ("n_clusters", "random_state") if word in known} == taken
    assert len(found.fit(bunches(3)[0]).labels_) == 90


class Needy:
    """A clusterer whose package is not installed."""

    def __init__(self):
        raise MissingExtra("needy", "sorting")


def test_a_clusterer_that_says_what_it_lacks_is_heard():
    with pytest.raises(MissingExtra, match="sorting"):
        load_clusterer(f"{__name__}:Needy", 3)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "kmean",
            "unknown clusterer; did you mean 'kmeans'? available: agglomerative, consensus, ",
        ),
        ("agentclust.errors:MissingExtra", "cannot be built (TypeError: "),
        ("agentclust.cache:home", "is a PosixPath, no clusterer"),
        ("agentclust.cache:no_such", "cannot be loaded (AttributeError: "),
    ],
)
def test_what_is_no_clusterer(name, line):
    with complains(f"{name}: ", line):
        load_clusterer(name, 3)
