"""Runs by clusterers that are trained, and by those of scikit-learn, from pictures to new ones."""

import json

import pytest

from agentclust import service
from agentclust.config import make_config
from agentclust.errors import RunError
from agentclust.progress import Reporter
from tests.complaints import complains
from tests.plugged import pictures

QUIET = Reporter(quiet=True)
SMALL = {
    "temi": ["clusterer.n_heads=2", "clusterer.hidden=16", "clusterer.bottleneck=8"],
    "scan": ["clusterer.n_heads=2"],
}


def configured(folder, method, settings=(), **values):
    values = {"criterion": "colour", "n_clusters": 3, "method": method, "llm": "none",
              "vlm": "none", "embedder": "tests.plugged:MeanColour"} | values  # fmt: skip
    return make_config({"dataset": str(folder)} | values, settings)


def ran(tmp_path, method, settings=(), colours="rgb" * 8, **values):
    config = configured(pictures(tmp_path / "photos", colours), method, settings, **values)
    return service.start([config], tmp_path / "run", reporter=QUIET)[0]


def groups(clustering):
    return {clustering.ids[i]: int(label) for i, label in enumerate(clustering.labels_)}


@pytest.mark.parametrize("method", ["temi", "scan"])
def test_a_run_whose_groups_take_new_pictures(method, tmp_path):
    found = ran(tmp_path, method, SMALL[method])
    assert found.method == method
    of = [int(found.labels_[found.ids.index(f"secret{i}.png")]) for i in range(3)]
    assert sorted(of) == [0, 1, 2]
    assert all(int(label) == of[int(name[6:-4]) % 3] for name, label in
               zip(found.ids, found.labels_, strict=True))  # fmt: skip
    attempt = found.run / "01-colour"
    assert not (attempt / "checkpoint.npz").exists()
    assert (attempt / "clusterer.npz").stat().st_size < 100_000
    new = pictures(tmp_path / "new", "bbr")
    placed = service.assign(found.run, str(new), tmp_path / "new-run", QUIET)
    assert [groups(placed)[f"secret{i}.png"] for i in range(3)] == [of[2], of[2], of[0]]
    lines = (tmp_path / "new-run/01-colour/assignments.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(0 < row["confidence"] <= 1 for row in rows)
    (attempt / "clusterer.npz").write_bytes(b"torn")
    with complains("clusterer.npz: cannot be read"):
        service.assign(found.run, str(new), tmp_path / "again", QUIET)


@pytest.mark.parametrize(
    "method", ["agglomerative", "spectral", "sklearn.cluster:Birch", "kmeans", "hdbscan"]
)
def test_other_clusterers_by_name(method, tmp_path):
    few = ["clusterer.min_cluster_size=4"] if method == "hdbscan" else []
    found = ran(tmp_path, method, few, n_clusters="auto" if method == "hdbscan" else 3)
    assert found.method == method
    assert found.n_clusters == 3
    assert len(set(groups(found).values())) == 3


@pytest.mark.parametrize("method", ["kmeans", "agglomerative", "minibatch-kmeans"])
def test_how_many_groups_there_are_is_found_and_told(method, tmp_path):
    found = ran(tmp_path, method, n_clusters="auto", colours="rgby" * 6)
    assert found.n_clusters == 4
    told = json.loads((found.run / "01-colour/k_curve.json").read_text())
    assert (told["chosen"], told["looked_at"], told["n_rows"]) == (4, 24, 24)
    best = max(told["tried"], key=lambda row: row["silhouette"])
    assert best["n_clusters"] == 4
    page = (found.run / "report.html").read_text("utf-8")
    assert "<h3>How many clusters</h3>" in page
    assert ">4 clusters</text>" in page


@pytest.mark.parametrize(("colours", "n_clusters"), [("rrrrrr", 1), ("r", 1), ("rb", 2)])
def test_pictures_that_hardly_differ(colours, n_clusters, tmp_path):
    found = ran(tmp_path, "kmeans", n_clusters="auto", colours=colours)
    assert found.n_clusters == n_clusters
    assert (found.run / "map.npz").exists()


def test_a_number_that_was_asked_for_needs_no_curve(tmp_path):
    found = ran(tmp_path, "kmeans")
    assert not (found.run / "01-colour/k_curve.json").exists()
    assert "How many clusters" not in (found.run / "report.html").read_text("utf-8")
    (found.run / "01-colour/k_curve.json").write_text('{"tried": [{}]}')
    with complains("k_curve.json: is damaged"):
        service.report(found.run, QUIET)


def test_the_agent_falls_back_to_it(tmp_path):
    settings = ["clusterer=scan", "clusterer.n_heads=2"]
    found = ran(tmp_path, "agent", settings)
    assert found.method == "scan"
    fallbacks = json.loads((found.run / "run.json").read_text())["fallbacks"]
    assert "fell back to scan on" in fallbacks[0]


@pytest.mark.parametrize(
    ("method", "settings", "line"),
    [
        ("temi", ["clusterer.bta=1"], "bta: unknown setting of temi; did you mean 'beta'?"),
        ("temi", ["clusterer.beta=a lot"], "beta='a lot': is not a number over 0"),
        ("temy", [], "temy: unknown method; did you mean 'temi'?"),
        ("agent", ["clusterer=temi", "clusterer.hidden=0"], "hidden=0: is not a whole number"),
        ("temi", ["clusterer.beta=[1]"], "clusterer_settings.beta"),
    ],
)
def test_what_is_wrong_is_said_before_a_run_begins(method, settings, line, tmp_path):
    photos = pictures(tmp_path / "photos", "rgb")
    with complains(line):
        config = configured(photos, method, settings, n_clusters="auto")
        service.start([config], tmp_path / "run", reporter=QUIET)
    assert not (tmp_path / "run").exists()


def test_vectors_that_are_no_numbers_or_all_the_same(tmp_path):
    with complains("tests.plugged:Broken: gives a vector that is not finite"):
        ran(tmp_path, "temi", embedder="tests.plugged:Broken", colours="rgbrgb")
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"
    with complains("the vectors: are all the same; embed something else"):
        ran(tmp_path / "b", "scan", colours="rrrrrr")
    with complains("n_clusters=9: is more than the 6 samples"):
        ran(tmp_path / "c", "temi", colours="rgbrgb", n_clusters=9)
    why = "spectral: fails on these vectors (InvalidParameterError: "
    with complains(why, kind=RunError):
        ran(tmp_path / "d", "spectral", ["clusterer.gamma=-1"])


def test_a_doubt_is_told_beside_the_result(tmp_path):
    found = ran(tmp_path, "scan", [*SMALL["scan"], "clusterer.threshold=1.0"])
    notes = json.loads((found.run / "run.json").read_text())["notes"]
    assert "no row is surer than 1.0: nothing to learn from in self-labelling" in notes


def test_probes_beside_the_scores(tmp_path):
    found = ran(tmp_path, "kmeans")
    labels = tmp_path / "labels.csv"
    rows = [f"secret{i}.png,{'rgb'[i % 3]}" for i in range(24)]
    labels.write_text("file,colour\n" + "\n".join(rows) + "\n")
    before = (found.run / "run.json").read_bytes()
    assert service.probe(found.run, labels) == {"linear_probe": 1.0, "knn_probe": 1.0}
    assert (found.run / "run.json").read_bytes() == before
