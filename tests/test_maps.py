"""The map of a run: from its embeddings to its report."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agentclust import service
from agentclust.pages import mapping
from agentclust.run.record import read_clustering
from tests import outside
from tests.plugged import manifest
from tests.test_clustered_runs import QUIET, ran


def drawn(run):
    text = (run / "report.html").read_text("utf-8")
    return json.loads(text.split('id="map-data">')[1].split("</script>")[0]), text


def test_a_run_over_images_ends_with_a_map(tmp_path):
    found = ran(tmp_path, "kmeans", colours="rgb" * 12)
    data, text = drawn(found.run)
    assert data["id"] == list(found.ids)
    assert data["c"] == found.labels_.tolist()
    assert data["columns"] == 6
    assert "laid out by two principal components, from tests.plugged:MeanColour" in text
    assert "Most central" in text
    placed = mapping.read(found.run)
    # pictures of a colour have one vector: they lie in one place, and apart from other colours
    for one in range(3):
        own = placed.places[found.labels_ == one]
        assert np.ptp(own, axis=0).max() < 1e-3
    assert len(np.unique(placed.places.round(2), axis=0)) == 3
    assert (found.run / "map.jpg").read_bytes().startswith(b"\xff\xd8")


def test_the_report_makes_a_map_that_is_missing_and_leaves_one_that_is_there(tmp_path):
    found = ran(tmp_path, "kmeans")
    before = (found.run / "map.npz").read_bytes()
    (found.run / "map.npz").write_bytes(b"torn")
    service.report(found.run, QUIET)
    assert 'id="map-data"' not in (found.run / "report.html").read_text("utf-8")
    (found.run / "map.npz").unlink()
    service.report(found.run, QUIET)
    assert (found.run / "map.npz").read_bytes() == before
    assert drawn(found.run)[0]["id"] == list(found.ids)


def test_what_is_central_is_nearest_to_the_mean_of_its_cluster(tmp_path):
    found = ran(tmp_path, "kmeans")
    vectors = np.array([[0, 0], [1, 0], [4, 0], [9, 9]], dtype=np.float32)
    first, second, third = np.flatnonzero(found.labels_ == 1)[:3].tolist()
    alone = int(np.flatnonzero(found.labels_ == 2)[0])
    at = mapping.Map(np.array([first, second, third, alone]), vectors, vectors, {})
    # the mean of the three is at 5/3
    assert mapping.central(found, at) == {1: (second, first, third), 2: (alone,)}


def test_more_samples_than_a_map_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(mapping, "MOST", 9)
    found = ran(tmp_path, "kmeans")
    data, text = drawn(found.run)
    assert len(data["id"]) == 9
    assert "9 of the 24, drawn at random" in text
    assert [found.ids[i] for i in mapping.read(found.run).rows] == data["id"]


@pytest.mark.parametrize(("n", "there"), [(29, False), (30, True)])
def test_captions_that_were_compared_are_on_a_map(tmp_path, n, there):
    manifest(tmp_path / "m.jsonl", ["a ball", "a cone", "a sofa"] * n)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()[:n]
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
    words = ("--criterion", "shape", "--n-clusters", 2, "--llm", "fake", "--embedder", "tfidf")
    ended = outside.run("run", "m.jsonl", *words, "--out", "run", cwd=tmp_path)
    assert ended.status == 0, ended.err
    assert (tmp_path / "run/map.npz").exists() is there
    assert not (tmp_path / "run/map.jpg").exists()
    if there:
        data, _ = drawn(tmp_path / "run")
        assert data["columns"] == 0
        assert data["text"][:3] == ["a ball", "a cone", "a sofa"]
        assert data["c"] == read_clustering(tmp_path / "run").labels_.tolist()
