"""TEMI and SCAN: clusterers that train heads on fixed vectors."""

import doctest
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from agentclust.clusterers import load_clusterer, scan, selflabel, temi
from agentclust.clusterers.doubts import agreement, doubts
from agentclust.clusterers.kmeans import KMeans
from agentclust.clusterers.neighbours import neighbours
from agentclust.clusterers.saved import load, save
from agentclust.clusterers.scan import SCAN, SemanticClustering
from agentclust.clusterers.temi import TEMI, SelfDistillation
from agentclust.clusterers.training import Plan, begun, train
from agentclust.files.arrays import write_arrays
from tests.complaints import complains
from tests.test_clusterers import bunches

SMALL = {
    TEMI: {"n_heads": 3, "hidden": 32, "bottleneck": 16},
    SCAN: {"n_heads": 3, "threshold": 0.6},
}
EACH = pytest.mark.parametrize("kind", [TEMI, SCAN])


def made(kind, n_clusters, **settings):
    return kind(n_clusters, **{"random_state": 0} | SMALL[kind] | settings)


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


# the losses, against their definitions written out


def pairs(seed=0):
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(7, 5, generator=random)
    left, right = torch.tensor([0, 1, 2, 0]), torch.tensor([3, 4, 2, 6])
    return rows, left, right


PLAN = Plan(5, 4, 0.01, 0, 1e-4, 0.9, 5, -1.0)


def test_the_loss_of_temi_is_the_papers():
    objective = SelfDistillation(3, 8, 4, beta=0.6, temperature=0.1)
    rows, left, right = pairs()
    training = begun(objective, rows, 4, PLAN, 0)
    for weights in training.teacher:
        weights.add_(0.1 * torch.randn(weights.shape, generator=training.random))
    shares_before = training.shares.clone()
    found = objective.losses(training, rows, left, right)

    student = objective.logits(training.student, rows).softmax(-1).detach().numpy()
    teacher = objective.logits(training.teacher, rows).softmax(-1).numpy()
    weight = np.mean([(teacher[h][left] * teacher[h][right]).sum(1) for h in range(3)], axis=0)
    for h in range(3):
        seen = np.concatenate([teacher[h][left], teacher[h][right]]).mean(axis=0)
        rarity = 0.9 * shares_before[h, 0].numpy() + 0.1 * seen
        assert np.allclose(training.shares[h, 0], rarity, atol=1e-6)
        both = []
        for a, b in ((left, right), (right, left)):
            inside = (student[h][a] * teacher[h][b]) ** 0.6 / rarity
            both.append(np.log(inside.sum(axis=1)))
        assert float(found[h].detach()) == pytest.approx(
            -np.mean(weight * (both[0] + both[1]) / 2), abs=1e-5
        )


def test_the_loss_of_scan_is_the_papers():
    objective = SemanticClustering(2, entropy_weight=5.0)
    rows, left, right = pairs()
    training = begun(objective, rows, 3, PLAN, 0)
    found = objective.losses(training, rows, left, right).detach().numpy()
    shares = objective.logits(training.student, rows).softmax(-1).detach().numpy()
    for h in range(2):
        same = np.log((shares[h][left] * shares[h][right]).sum(axis=1)).mean()
        mean = shares[h][left].mean(axis=0)
        assert found[h] == pytest.approx(-same + 5 * (mean * np.log(mean)).sum(), abs=1e-5)


def test_a_head_among_many_is_that_head_alone():
    objective = SelfDistillation(3, 8, 4, beta=0.6, temperature=0.1)
    rows, _, _ = pairs()
    weights = objective.begin(5, 4, torch.Generator().manual_seed(0))
    together = objective.logits(weights, rows)
    for h in range(3):
        first, first_bias, second, second_bias, directions, lengths = (w[h] for w in weights)
        inner = torch.nn.functional.gelu(rows @ first.T + first_bias)
        sphere = torch.nn.functional.normalize(inner @ second + second_bias, dim=1)
        cosines = sphere @ torch.nn.functional.normalize(directions, dim=0)
        assert torch.allclose(together[h], cosines * lengths / 0.1, atol=1e-5)


def test_the_teacher_follows_the_student():
    X, _ = bunches(3)
    rows = torch.from_numpy(X.astype(np.float32))
    near = torch.from_numpy(neighbours(X.astype(np.float32), 5))
    objective = SelfDistillation(2, 8, 4, beta=0.6, temperature=0.1)
    training = begun(objective, rows, 3, PLAN, 0)
    start = [weights.clone() for weights in training.teacher]
    train(training, objective, rows, near, Plan(1, 90, 0.01, 0, 0.0, 0.9, 5, -1.0))
    for before, student, teacher in zip(start, training.student, training.teacher, strict=True):
        assert torch.allclose(teacher, 0.9 * before + 0.1 * student.detach(), atol=1e-6)
    assert torch.equal(training.student[4].detach(), start[4])  # rests in the first epoch
    assert not torch.equal(training.student[0].detach(), start[0])


def test_neighbours_are_the_nearest_but_oneself(monkeypatch):
    import agentclust.clusterers.neighbours as module

    monkeypatch.setattr(module, "BLOCK", 7)
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = neighbours(rows, 5)
    alike = rows @ rows.T - 9 * np.eye(40)
    assert np.array_equal(found, np.argsort(-alike, axis=1)[:, :5])
    assert neighbours(rows[:3], 9).shape == (3, 2)


# what speaks against the outcome


def test_a_worse_grouping_is_doubted():
    X, truth = bunches(4)
    rows = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    near = neighbours(rows, 5)
    assert agreement(truth, near) == pytest.approx(1)
    assert abs(agreement(np.random.default_rng(0).permutation(truth), near)) < 0.1
    assert doubts(rows, near, truth, truth, 0) == []
    mixed = np.where(truth == 3, np.arange(len(truth)) % 3, truth)
    sentences = doubts(rows, near, mixed, truth, 0)
    assert [sentence.split(" ")[0] for sentence in sentences] == ["neighbours", "the"]


def confident(rows, sizes):
    """A linear head whose clusters are the directions of `rows`, one after the other."""
    objective = SemanticClustering(1, 5.0)
    centres = np.stack([part.mean(axis=0) for part in np.split(rows, np.cumsum(sizes)[:-1])])
    return objective, [torch.from_numpy(40 * centres[None]), torch.zeros(1, len(sizes))]


def test_self_labelling_keeps_what_is_right_and_refuses_a_collapse():
    X, truth = bunches(3, each=30)
    rows = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    objective, head = confident(rows, [30, 30, 30])
    plan = Plan(20, 32, 0.01, 0, 1e-4, 0.0, 5, -1.0)
    inner = torch.from_numpy(rows)
    taken, doubt = selflabel.self_labelled(objective, head, inner, plan, 0.99, 0)
    assert doubt == ""
    assert adjusted_rand_score(truth, objective.logits(taken, inner)[0].argmax(1)) == 1
    assert not torch.equal(taken[0], head[0])
    kept, doubt = selflabel.self_labelled(objective, head, inner, plan, 1.0, 0)
    assert kept is head
    assert doubt == "no row is surer than 1.0: nothing to learn from in self-labelling"
    # one cluster is never sure, and its rows lie between the others: it is overrun
    unsure = [head[0].clone(), head[1].clone()]
    unsure[0][0, 2] = 0.51 * (head[0][0, 0] + head[0][0, 1])
    between = torch.nn.functional.normalize(inner[:30] + inner[30:60])
    overrun = torch.cat([inner[:60], between])
    steep = Plan(60, 90, 1.0, 0, 0.0, 0.0, 5, -1.0)
    kept, doubt = selflabel.self_labelled(objective, unsure, overrun, steep, 0.99, 0)
    assert kept is unsure
    assert "of its members in self-labelling: the clusters of before are kept" in doubt


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
