"""How an explanation is asked for, and what cannot be explained."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from agentclust import service
from agentclust.cli import cli
from tests.complaints import complains
from tests.explaining.runs import QUIET, explained, ran
from tests.plugged import manifest


def test_the_command(run):
    called = CliRunner().invoke(cli, ["explain", str(run), "p003"], catch_exceptions=False)
    assert called.exit_code == 0
    text = called.stdout
    assert text.startswith(
        "groups compared by: cosine with the centres of kmeans (agrees with 100%"
    )
    for part in ("p003.png is in ", "  ahead of ", "  evidence: half of it in ", "  nearest: p0"):
        assert f"\n{part}" in text
    assert f"page: {run / 'explain/index.html'}" in text
    called = CliRunner().invoke(cli, ["explain", str(run), "p003", "--json"])
    found = json.loads(called.stdout)
    assert found["images"][0]["id"] == "p003.png"
    called = CliRunner().invoke(cli, ["explain", str(run), "--limit", "5", "--json"])
    assert len(json.loads(called.stdout)["images"]) == 5
    assert np.sum(found["images"][0]["heat"]["grid"]) == pytest.approx(1, abs=1e-3)


def test_an_image_by_its_file(objects, tmp_path):
    rows = [
        {"id": f"id{i}", "file": str(objects[0] / f"photos/p00{i}.png"), "raw_label": "ab"[i % 2]}
        for i in range(4)
    ]
    file = tmp_path / "some.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = ran(tmp_path, file, method="ictc", llm="fake", n_clusters=2).run
    found = explained(run, "id0", "p001.png", "photos/p002.png", rows[3]["file"])
    assert [one.id for one in found.images] == ["id0", "id1", "id2", "id3"]
    # groups of labels that nobody read off a caption: what sets the images apart is shown
    assert found.by == "cosine with the mean of each group"
    assert all(one.heat is not None for one in found.images)


def test_what_cannot_be_explained(objects, run, tmp_path):
    with complains("p003.pnj: there is no such sample", "did you mean p003.png"):
        explained(run, "p001", "p003.pnj")
    assert not (run / "explain").exists()
    with complains("is no run directory"):
        explained(tmp_path)
    (run / "assignments.csv").rename(run / "kept.csv")
    with complains("has no result yet"):
        explained(run, "p003")
    (run / "kept.csv").rename(run / "assignments.csv")
    (run / "explain").mkdir()
    (run / "explain/explanations.json").write_text('{"images": [')
    with complains("explanations.json: cannot be read"):
        explained(run, "p003")
    assert len(list((run / "explain").iterdir())) == 1


def test_neither_captions_nor_images(tmp_path):
    file = tmp_path / "labels.jsonl"
    rows = [{"id": f"id{i}", "raw_label": "ab"[i % 2]} for i in range(6)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran(tmp_path, file, "letter", method="ictc", llm="fake", n_clusters=2)
    with complains("has neither captions nor images to explain"):
        explained(tmp_path / "run", "id1")


def test_images_that_are_gone_or_changed(objects, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(8):
        shutil.copy(objects[0] / f"photos/p00{number}.png", photos)
    run = ran(tmp_path, photos, n_clusters=2).run
    (photos / "p000.png").unlink()
    shutil.copy(photos / "p002.png", photos / "p001.png")
    gone, changed, there = explained(run, "p000", "p001", "p002").images
    assert gone.notes == [f"no heat map: {photos / 'p000.png'} cannot be read (No such file or "
                          "directory)"]  # fmt: skip
    assert changed.notes == [f"no heat map: {photos / 'p001.png'} was changed since the run"]
    assert there.heat is not None
    assert len(gone.neighbours) == len(changed.neighbours) == 5
    shutil.rmtree(photos)
    assert explained(run, "p002").images[0].margin == pytest.approx(there.margin, abs=1e-5)


def test_a_torn_store(objects, run, tmp_path):
    (file,) = (run / "embeddings").glob("*/vectors.npy")
    file.write_bytes(file.read_bytes()[:-100])
    with complains("vectors.npy: is torn"):
        explained(run, "p003")
    assert not (run / "explain").exists()


def test_one_group_alone(tmp_path):
    run = ran(tmp_path, manifest(tmp_path / "m.jsonl", ["a dog", "a cat"]), n_clusters=2).run
    with service.session(run, QUIET) as talk:
        talk.say(f"/move id0 to {next(r for r in talk.clustering().rows(1))['name']}")
    found = explained(run, "id1")
    assert (found.by, found.agreement) == ("there are no two groups to compare", None)
    assert found.images[0].words == []
    assert [n["id"] for n in found.images[0].neighbours] == ["id0"]
