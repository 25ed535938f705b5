"""TEMI and SCAN: clusterers that train heads on fixed vectors."""

import doctest
import warnings

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from agentclust.clusterers import load_clusterer, scan, temi
from agentclust.clusterers.kmeans import KMeans
from agentclust.clusterers.saved import load, save
from agentclust.clusterers.scan import SCAN
from agentclust.clusterers.temi import TEMI
from agentclust.files.arrays import write_arrays
from tests.complaints import complains
from tests.test_clusterers import bunches
from tests.trained.kinds import EACH, SMALL, made


@EACH
@pytest.mark.parametrize("k", [3, 6])
def test_directions_are_found_whatever_the_length(kind, k):
    X, truth = bunches(k)
    model = made(kind, k)
    assert model.fit(X) is model
    assert adjusted_rand_score(truth, model.labels_) == 1
    assert model.n_clusters_ == k
    assert np.array_equal(model.predict(X), model.labels_)
    shares = model.predict_proba(X)
    assert shares.shape == (len(X), k)
    assert np.allclose(shares.max(axis=1), model.probabilities_, atol=1e-5)
    assert model.probabilities_.max() <= 1
    assert model.labels_[model.prototypes_].tolist() == list(range(k))
    assert model.probabilities_[model.prototypes_[0]] == max(
        model.probabilities_[model.labels_ == 0]
    )
    assert model.doubts_ == []


@EACH
def test_new_rows_are_placed_where_their_like_are(kind):
    X, truth = bunches(4, each=40)
    model = made(kind, 4).fit(X[::2])
    assert adjusted_rand_score(truth[1::2], model.predict(X[1::2])) == 1


@EACH
def test_auto_takes_as_many_as_kmeans_finds(kind):
    X, truth = bunches(5, each=40, spread=0.12)
    model = made(kind, "auto").fit(X)
    assert (model.n_clusters_, adjusted_rand_score(truth, model.labels_)) == (5, 1)
    assert model.curve_.n_clusters == 5
    assert made(kind, 5).fit(X).curve_ is None


@EACH
def test_a_row_of_zeros_is_unassigned(kind):
    X, _ = bunches(3)
    X[[4, 50]] = 0
    model = made(kind, 3).fit(X)
    assert np.flatnonzero(model.labels_ == -1).tolist() == [4, 50]
    assert np.flatnonzero(model.probabilities_ == 0).tolist() == [4, 50]
    assert model.predict([X[0], X[4]]).tolist() == [model.labels_[0], -1]


@EACH
def test_what_cannot_be_clustered(kind):
    with complains("the vectors: are all zero; embed something else"):
        made(kind, 2).fit(np.zeros((5, 3)))
    with complains("the vectors: are all the same; embed something else"):
        made(kind, 2).fit(np.ones((5, 3)))
    with pytest.raises(ValueError, match="NaN"):
        made(kind, 2).fit([[1.0, np.nan], [0.0, 1.0]])
    for wanted in (0, 2.5, "many"):
        for compare in (True, False):
            with complains(f"n_clusters={wanted!r}: is no number of clusters"):
                made(kind, wanted, compare=compare).fit(np.eye(4))


@EACH
def test_no_more_clusters_than_rows_that_differ(kind):
    X = np.eye(6)[np.arange(12) % 3]
    for compare in (True, False):
        model = made(kind, 9, compare=compare).fit(X)
        assert 1 <= model.n_clusters_ <= 3
        assert set(model.labels_) == set(range(model.n_clusters_))


@EACH
def test_duplicates_share_a_cluster(kind):
    X, truth = bunches(3, each=20)
    X = np.repeat(X, 30, axis=0)
    model = made(kind, 3).fit(X)
    assert adjusted_rand_score(np.repeat(truth, 30), model.labels_) == 1


@EACH
@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"epochs": 0}, "epochs=0: is not a whole number from 1"),
        ({"n_heads": 2.0}, "n_heads=2.0: is not a whole number"),
        ({"n_components": 1.5}, "n_components=1.5: is not a number from 0 to 1"),
        ({"learning_rate": "fast"}, "learning_rate='fast': is not a number from 0"),
        ({"compare": "perhaps"}, "compare='perhaps': is neither true nor false; write one of them"),
        ({"batch_size": True}, "batch_size=True: is not a whole number"),
    ],
)
def test_a_setting_that_means_nothing(kind, setting, line):
    with complains(line):
        made(kind, 2, **setting).fit(np.eye(4))


@EACH
def test_a_seed_repeats(kind):
    X, _ = bunches(6, spread=0.4)
    first, again = (made(kind, 6).fit(X) for _ in range(2))
    assert np.array_equal(first.labels_, again.labels_)
    assert np.allclose(first.probabilities_, again.probabilities_, atol=1e-4)
    other = made(kind, 6, random_state=1).fit(X)
    assert not np.array_equal(first.losses_, other.losses_)


@EACH
def test_training_stops_where_nothing_changes(kind):
    X, _ = bunches(3)
    stopped = made(kind, 3, epochs=400, patience=10).fit(X)
    assert stopped.n_epochs_ < 400
    assert made(kind, 3, epochs=30, tolerance=-1).fit(X).n_epochs_ == 30


@EACH
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(kind, tmp_path):
    X, _ = bunches(4, spread=0.3)
    settings = {"epochs": 30, "tolerance": -1, "warmup": 3}
    whole = made(kind, 4, **settings).fit(X)
    file = tmp_path / "checkpoint.npz"

    class Killed(BaseException):
        pass

    def die(done, total):
        if done == 12:
            raise Killed

    import agentclust.clusterers.training as module

    every, module.SAVED_EVERY = module.SAVED_EVERY, 0.0
    try:
        with pytest.raises(Killed):
            made(kind, 4, checkpoint=file, progress=die, **settings).fit(X)
    finally:
        module.SAVED_EVERY = every
    done = []
    resumed = made(
        kind, 4, checkpoint=file, progress=lambda at, _: done.append(at), **settings
    ).fit(X)
    assert done[0] == 12
    assert np.allclose(resumed.probabilities_, whole.probabilities_, atol=1e-4)
    with complains("is a checkpoint of other vectors or settings"):
        made(kind, 4, checkpoint=file, **settings).fit(X[1:])
    with complains("is a checkpoint of other vectors or settings"):
        made(kind, 4, checkpoint=file, **settings | {"warmup": 4}).fit(X)
    file.write_bytes(file.read_bytes()[:1000])
    with complains("checkpoint.npz: cannot be read"):
        made(kind, 4, checkpoint=file, **settings).fit(X)


@pytest.mark.parametrize("kind", [TEMI, SCAN, KMeans])
def test_a_fit_is_saved_and_predicts_the_same(kind, tmp_path):
    X, _ = bunches(4)
    model = (made(kind, 4) if kind in SMALL else kind(4, random_state=0)).fit(X)
    name = {TEMI: "temi", SCAN: "scan", KMeans: "kmeans"}[kind]
    save(model, name, tmp_path / "a.npz", by="someone")
    loaded, about = load(tmp_path / "a.npz")
    assert type(loaded) is kind
    assert about["by"] == "someone"
    assert np.allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-5)
    assert np.array_equal(loaded.predict(X), model.labels_)
    with pytest.raises(ValueError, match="features"):
        loaded.predict(X[:, :3])


def test_a_saved_fit_that_is_none(tmp_path):
    file = tmp_path / "a.npz"
    with complains("a.npz: cannot be read"):
        load(file)
    file.write_text("no archive")
    with complains("a.npz: cannot be read"):
        load(file)
    np.savez(file, about=np.array({"a": 1}, dtype=object), allow_pickle=True)
    with complains("a.npz: cannot be read"):  # a pickle is never opened
        load(file)
    write_arrays(file, {"format": 1, "clusterer": "os:system"}, {})
    with complains("holds no clusterer known here"):
        load(file)
    known = {"format": 1, "clusterer": "kmeans", "settings": {}, "width": 2}
    write_arrays(file, known, {})
    with complains("a.npz: lacks centers_"):
        load(file)


@EACH
@pytest.mark.parametrize("wanted", [2, "auto"])
def test_scikit_learn_takes_them_for_its_own(kind, wanted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its checks themselves warn of
        same = {"check_fit2d_1feature": "directions of one number are all the same"}
        check_estimator(made(kind, wanted, epochs=20), on_skip=None, expected_failed_checks=same)


@pytest.mark.parametrize("module", [temi, scan])
def test_the_examples_run(module):
    done = doctest.testmod(module)
    assert (done.attempted, done.failed) == (2, 0)


def test_settings_by_name():
    found = load_clusterer("temi", 4, 1, {"beta": 0.7}, checkpoint="a.npz", progress=None)
    assert (found.beta, found.checkpoint, found.random_state) == (0.7, "a.npz", 1)
    assert load_clusterer("kmeans", 4, 1, {}, checkpoint="a.npz").n_clusters == 4
    with complains("bta: unknown setting of temi; did you mean 'beta'?"):
        load_clusterer("temi", 4, 0, {"bta": 0.7})
    with complains("checkpoint: unknown setting of temi"):
        load_clusterer("temi", 4, 0, {"checkpoint": "x"})
    with complains("beta=0: is not a number over 0"):
        load_clusterer("temi", 4, 0, {"beta": 0})
    with complains("n_clusters=auto: agglomerative needs a number; pass --n-clusters K"):
        load_clusterer("agglomerative", "auto")
    assert type(load_clusterer("hdbscan", "auto")).__name__ == "HDBSCAN"
