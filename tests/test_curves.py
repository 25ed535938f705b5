"""Scores over the number of candidates."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from agentclust import edits, metrics, pages, service
from agentclust.config import make_config
from agentclust.ictc.likely import highest, likeliest
from agentclust.progress import Reporter
from agentclust.run.record import read_rows
from agentclust.service import curving
from tests import outside
from tests.complaints import complains
from tests.test_clustered_runs import QUIET, ran


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A run over sixty pictures of four colours, and the home that holds their vectors."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTCLUST_HOME", str(folder / "home"))
        return ran(folder, "kmeans", colours="rgby" * 15, n_clusters=4)


@pytest.fixture
def run(once, home, tmp_path):
    """The run, for this test alone."""
    shutil.copytree(once.run.parent / "home", home, dirs_exist_ok=True)
    return replace(once, run=shutil.copytree(once.run, tmp_path / "run"))


def truth_of(run, folder, wrong=0):
    """A labels file; `wrong` of the classes' members bear the name of another."""
    file = folder / "truth.csv"
    rows = [(name, "rgby"[(int(name[6:-4]) + (i < wrong)) % 4]) for i, name in enumerate(run.ids)]
    file.write_text("id,colour\n" + "".join(f"{name},{c}\n" for name, c in rows))
    return file


def test_the_points_are_scores_of_the_first_candidates():
    random = np.random.default_rng(0)
    truth = [str(t) for t in random.integers(0, 8, 230)]
    labels = random.integers(0, 8, 230)
    order = random.permutation(230)
    likely = np.array([random.permutation(8)[:5] for _ in labels])
    found = list(curving.points("confidence", order, truth, labels, likely))
    assert [point.n for point in found] == [50, 100, 150, 200, 230]
    some = order[:100]
    scores = metrics.external([truth[i] for i in some], labels[some])
    assert (found[1].acc, found[1].nmi, found[1].ari) == (scores.acc, scores.nmi, scores.ari)
    partner = {scores.classes[row]: column for row, column in scores.matching.items()}
    assert found[1].top5 == np.mean([partner[truth[i]] in likely[i] for i in some])
    assert {p.top5 for p in curving.points("confidence", order, truth, labels, None)} == {None}


@pytest.mark.parametrize(("n", "counts"), [(1, [1]), (50, [50]), (1000, 20), (1020, 21)])
def test_how_many_candidates(n, counts):
    found = list(curving.points("x", np.arange(n), ["a"] * n, np.zeros(n, dtype=int), None))
    assert [p.n for p in found] == counts if isinstance(counts, list) else len(found) == counts
    assert found[-1].n == n


def test_evaluate_draws_them(run, tmp_path):
    found = service.evaluate(run.run, truth_of(run, tmp_path, 6), curves=True)
    points = pages.points(run.run)
    assert [(p.order, p.n) for p in points] == [("confidence", 50), ("confidence", 60)]
    assert points[-1].acc == pytest.approx(found.acc, abs=1e-4)
    assert points[-1].top5 == 1.0  # there are no more than four clusters
    with (run.run / "curves.csv").open() as stream:
        assert list(csv.DictReader(stream))[1]["n"] == "60"
    page = (run.run / "report.html").read_text("utf-8")
    assert "Scores by the number of candidates, the surest first" in page
    service.evaluate(run.run, truth_of(run, tmp_path))
    assert pages.points(run.run) == []
    assert "candidates" not in (run.run / "report.html").read_text("utf-8")


def test_the_neighbours_of_a_sample_are_candidates(run, tmp_path):
    labels = truth_of(run, tmp_path)
    service.evaluate(run.run, labels, around=run.ids[0])
    near = [p for p in pages.points(run.run) if p.order == f"near {run.ids[0]}"]
    assert [p.n for p in near] == [50, 59]
    assert {p.acc for p in near} == {1.0}
    with complains("secret0.pgn: unknown sample; did you mean 'secret0.png'?"):
        service.evaluate(run.run, labels, around="secret0.pgn")


def test_likelier_clusters_are_told_of_each_sample(run):
    rows = read_rows(run.run, "assignments").values()
    for row in rows:
        clusters, shares = zip(*row["likely"], strict=True)
        assert clusters[0] == row["cluster"]
        assert sorted(clusters) == [0, 1, 2, 3]
        assert list(shares) == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("method", ["ward", "minibatch-kmeans", "agglomerative", "spectral"])
def test_every_clusterer_has_a_top_five(once, method, tmp_path, home):
    shutil.copytree(once.run.parent / "home", home, dirs_exist_ok=True)
    found = ran(tmp_path, method, colours="rgby" * 15, n_clusters=4)
    for row in read_rows(found.run, "assignments").values():
        clusters = [cluster for cluster, _ in row["likely"]]
        assert clusters[0] == row["cluster"]
        assert sorted(clusters) == [0, 1, 2, 3]
    service.evaluate(found.run, truth_of(found, tmp_path, 6), curves=True)
    assert {point.top5 for point in pages.points(found.run)} == {1.0}
    by_means = f"means of the clusters, which {method} does not use"
    page = (found.run / "report.html").read_text("utf-8")
    assert (by_means in page) == (method in ("agglomerative", "spectral"))


def test_what_comes_next_where_a_model_chose(tmp_path):
    """Labels that are names have no second choice, the others have that of the model."""
    labels = ["ball", "ball", "cone", "cone", "small ball", "sofa"]
    rows = [{"id": f"i{n}", "raw_label": label} for n, label in enumerate(labels)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {"dataset": str(tmp_path / "m.jsonl"), "criterion": "shape", "n_clusters": 3}
    config = make_config(values | {"llm": "fake", "method": "ictc", "embedder": "tfidf"})
    [found] = service.start([config], tmp_path / "run", reporter=QUIET)
    rows = dict(read_rows(found.run, "assignments").items())
    named = [i for i, label in enumerate(labels) if label in found.names]
    asked = [row for row in rows.values() if "likely" in row]
    assert 0 < len(named) < 6
    assert all("likely" not in rows[f"i{i}"] for i in named)
    for row in asked:
        (own, sure), *others = row["likely"]
        assert (own, sure) == (row["cluster"], row["confidence"])
        assert all(0 < p <= sure for _, p in others)
    likely = curving.likeliest(found.run, found)
    assert (likely is not None) == bool(asked)
    if likely is not None:
        assert likely[:, 0].tolist() == found.labels_.tolist()


def test_where_nothing_comes_next_there_is_no_top_five(tmp_path):
    labels = ["ball", "cone", "ball", "cone"]  # both are names, and nobody is asked
    rows = [{"id": f"i{n}", "raw_label": label} for n, label in enumerate(labels)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {"dataset": str(tmp_path / "m.jsonl"), "criterion": "shape", "n_clusters": 2}
    config = make_config(values | {"llm": "fake", "method": "ictc", "embedder": "tfidf"})
    [found] = service.start([config], tmp_path / "run", reporter=QUIET)
    (tmp_path / "truth.csv").write_text("id,shape\ni0,b\ni1,c\ni2,b\ni3,c\n")
    words = ("evaluate", found.run, "--labels", tmp_path / "truth.csv", "--curves")
    told = outside.run(*words, cwd=tmp_path)
    assert told.out.endswith(f"{pages.NO_ORDER}\n")
    assert pages.NO_ORDER in (found.run / "report.html").read_text("utf-8")


@pytest.mark.parametrize("k", [2, 6, 7, 40])
def test_the_likeliest_are_the_five_highest_and_the_own(k):
    shares = np.random.default_rng(k).dirichlet(np.ones(k), 50)
    clusters, found = highest(shares)
    for own, (row, some, kept) in enumerate(zip(shares, clusters, found, strict=True)):
        own %= k
        order = [c for c in np.argsort(-row) if c != own]
        told = likeliest(own, 1.0, zip(some.tolist(), kept.tolist(), strict=True))
        assert [c for c, _ in told] == [own, *order[:4]]
    assert likeliest(1, 0.7, [(0, 0.0), (1, 0.7)]) == []  # nothing comes next


def test_no_top_five_where_a_person_has_changed_the_groups(run, tmp_path):
    assert curving.likeliest(run.run, run) is not None
    with service.session(run.run, Reporter(quiet=True)) as talk:
        assert talk.say(f"/merge {run.names[0]} {run.names[1]}").changed
        assert edits.log(talk.work).known
        changed = talk.clustering()
    assert curving.likeliest(run.run, changed) is None
    service.evaluate(run.run, truth_of(run, tmp_path), curves=True)
    assert {point.top5 for point in pages.points(run.run)} == {None}
    assert "no top-5" in (run.run / "report.html").read_text("utf-8")


def test_the_command_line(run, tmp_path):
    labels = truth_of(run, tmp_path)
    words = ("evaluate", run.run, "--labels", labels, "--curves")
    told = outside.run(*words, cwd=tmp_path)
    assert told.status == 0, told.err
    assert told.out.splitlines()[-3:] == [
        "candidates     ACC    NMI    ARI  top-5  by",
        "        50  1.0000 1.0000 1.0000 1.0000  confidence",
        "        60  1.0000 1.0000 1.0000 1.0000  confidence",
    ]
    found = json.loads(outside.run(*words, "--json", cwd=tmp_path).out)
    assert found["acc"] == 1.0
    assert found["curves"][0] == {"order": "confidence", "n": 50, "acc": 1.0, "nmi": 1.0,
                                  "ari": 1.0, "top5": 1.0}  # fmt: skip


def test_a_table_that_is_damaged(run, tmp_path):
    service.evaluate(run.run, truth_of(run, tmp_path), curves=True)
    (run.run / "curves.csv").write_text("order,n,acc\nconfidence,many,1\n")
    with complains("curves.csv: is damaged"):
        service.report(run.run, QUIET)
