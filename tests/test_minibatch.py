import doctest
import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans as LloydKMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from agentclust.clusterers import load_clusterer, minibatch
from agentclust.clusterers.minibatch import MiniBatchKMeans
from agentclust.clusterers.projecting import fitted_projection
from agentclust.files.blocks import BLOCK
from tests.complaints import complains
from tests.test_clusterers import bunches


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A mapped file of more than two blocks in 12 directions, and the direction of each row."""
    rows, truth = bunches(12, each=1500, spread=0.1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = np.random.default_rng(0).permutation(len(rows))
    file = tmp_path_factory.mktemp("mapped") / "vectors.npy"
    np.save(file, rows[order].astype(np.float16))
    assert len(rows) > 2 * BLOCK
    return np.load(file, mmap_mode="r"), truth[order]


def test_directions_are_found_in_a_mapped_file(mapped):
    X, truth = mapped
    model = MiniBatchKMeans(12, n_init=3, random_state=0).fit(X)
    assert adjusted_rand_score(truth, model.labels_) == 1
    assert model.n_clusters_ == 12
    assert np.allclose(np.linalg.norm(model.centers_, axis=1), 1, atol=1e-5)
    assert np.array_equal(model.predict(X), model.labels_)
    own = np.sum(np.asarray(X, np.float32) * model.centers_[model.labels_], axis=1)
    assert model.inertia_ == pytest.approx(np.sum(2 - 2 * own), rel=1e-2)
    assert ((model.probabilities_ > 0.5) & (model.probabilities_ <= 1)).all()


def test_threads_and_the_number_format_change_nothing(mapped):
    X, _ = mapped
    one = MiniBatchKMeans(12, random_state=3, n_jobs=1).fit(X)
    many = MiniBatchKMeans(12, random_state=3, n_jobs=4).fit(np.asarray(X))
    assert np.array_equal(one.labels_, many.labels_)
    assert np.array_equal(one.probabilities_, many.probabilities_)


def test_points_are_clustered_as_well_as_lloyd_does():
    random = np.random.default_rng(1)
    X = (
        random.normal(size=(4000, 8))
        + 4 * random.normal(size=(20, 8))[random.integers(0, 20, 4000)]
    )
    theirs = LloydKMeans(20, n_init=3, random_state=0).fit(X).inertia_
    found = MiniBatchKMeans(20, n_init=5, spherical=False, random_state=0).fit(X)
    assert found.inertia_ <= theirs * 1.01
    own = ((X - found.centers_[found.labels_]) ** 2).sum()
    assert found.inertia_ == pytest.approx(own, rel=1e-4)
    shifted = MiniBatchKMeans(20, n_init=5, spherical=False, random_state=0).fit(X + 50)
    assert shifted.inertia_ <= theirs * 1.05


def test_over_clustering_makes_more_and_purer_clusters(mapped):
    X, truth = mapped
    model = MiniBatchKMeans(12, over=1.5, random_state=0).fit(X)
    assert 12 < model.n_clusters_ <= 18
    pure = [len(set(truth[model.labels_ == i])) for i in range(model.n_clusters_)]
    assert sum(count == 1 for count in pure) >= 12


def test_auto_finds_how_many_there_are(mapped):
    assert MiniBatchKMeans(random_state=0).fit(mapped[0]).n_clusters_ == 12


def test_components_are_those_of_principal_component_analysis(mapped):
    X, truth = mapped
    ours = fitted_projection(X, 5)
    theirs = PCA(5).fit(np.asarray(X, dtype=np.float64))
    alike = np.abs(np.sum(ours.components_ * theirs.components_, axis=1))
    assert np.allclose(alike, 1, atol=1e-3)
    ratios = theirs.explained_variance_ratio_
    assert np.allclose(ours.explained_variance_ratio_, ratios, rtol=1e-3)
    rows = np.asarray(X[:10], dtype=np.float32)
    assert np.allclose(np.abs(ours(rows)), np.abs(theirs.transform(rows)), atol=1e-2)
    model = MiniBatchKMeans(12, n_components=11, n_init=3, random_state=0).fit(X)
    assert model.centers_.shape == (12, 11)
    assert adjusted_rand_score(truth, model.labels_) == 1
    assert np.array_equal(model.predict(X[:50]), model.labels_[:50])


def test_a_row_of_zeros_is_unassigned_where_directions_are_clustered():
    X, _ = bunches(3)
    X[[4, 50]] = 0
    model = MiniBatchKMeans(3, random_state=0).fit(X)
    assert np.flatnonzero(model.labels_ == -1).tolist() == [4, 50]
    assert np.flatnonzero(model.probabilities_ == 0).tolist() == [4, 50]
    assert model.n_clusters_ == 3
    points = MiniBatchKMeans(3, spherical=False, random_state=0).fit(X)
    assert points.labels_.min() == 0


def test_no_more_clusters_than_rows_that_differ():
    X = np.eye(4)[np.arange(40) % 3]
    assert MiniBatchKMeans(5, random_state=0).fit(X).n_clusters_ == 3


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"n_clusters": 0}, "n_clusters=0: is no number of clusters"),
        ({"n_clusters": 91}, "n_clusters=91: is more than the 90 vectors"),
        ({"n_clusters": 80, "over": 1.25}, "n_clusters=80 times over=1.25: is more than the 90"),
        ({"n_clusters": 3, "over": 0.5}, "over=0.5: is below 1"),
        ({"n_clusters": 3, "n_init": 0}, "n_init=0: is below 1"),
        ({"n_clusters": 3, "n_components": 17}, "n_components=17: is no number from 1 to 16"),
    ],
)
def test_what_cannot_be_clustered_so(settings, line):
    with complains(line):
        MiniBatchKMeans(**settings).fit(bunches(3)[0])


def test_rows_that_say_nothing_are_told():
    with complains("the vectors: are all zero"):
        MiniBatchKMeans(2).fit(np.zeros((5, 3)))
    broken = bunches(3)[0]
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        MiniBatchKMeans(3).fit(broken)


def test_scikit_learn_takes_it_for_its_own():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its checks themselves warn of
        check_estimator(MiniBatchKMeans(n_clusters=2), on_skip=None)


def test_the_example_runs_and_the_name_is_known():
    done = doctest.testmod(minibatch)
    assert (done.attempted, done.failed) == (2, 0)
    found = load_clusterer("minibatch-kmeans", 7, 3, {"over": 1.25, "spherical": False})
    assert type(found) is MiniBatchKMeans
    assert (found.n_clusters, found.random_state, found.over, found.spherical) == (
        7,
        3,
        1.25,
        False,
    )
    with complains("ovre: unknown setting of minibatch-kmeans; did you mean 'over'?"):
        load_clusterer("minibatch-kmeans", 7, 3, {"ovre": 1.25})


@pytest.mark.parametrize("spherical", [True, False])
def test_probabilities_of_all_clusters_go_with_those_of_the_own(spherical):
    random = np.random.default_rng(0)
    X = random.normal(size=(8, 12))[np.arange(400) % 8] + 0.3 * random.normal(size=(400, 12))
    X[7] = 0
    model = MiniBatchKMeans(8, spherical=spherical, random_state=0).fit(X)
    shares = model.predict_proba(X)
    own = np.arange(400)[model.labels_ >= 0]
    assert np.allclose(
        shares[own, model.labels_[own]], model.probabilities_[own], atol=0.01
    )  # made by bfloat16
    assert np.array_equal(shares[own].argmax(axis=1), model.labels_[own])
    assert np.allclose(shares.sum(axis=1), [i != 7 or not spherical for i in range(400)], atol=1e-5)
