"""Runs whose network learns, and the network that a run keeps."""

import json
import shutil

import numpy as np
import pytest

from agentclust import service
from agentclust.config import make_config
from agentclust.embedders import load_embedder
from agentclust.files.arrays import read_arrays, write_arrays
from tests.complaints import complains
from tests.plugged import pictures
from tests.test_clustered_runs import QUIET, SMALL, groups
from tests.tuning.starting import configured, started


def test_a_run_whose_network_learns(networks, photos, tmp_path):
    name = f"transformers:{networks / 'convnext'}"
    found = started(
        configured(photos[0].parent, name, "finetune_blocks=2", "clusterer.threshold=0.6"),
        tmp_path / "run",
    )
    attempt = found.run / "01-colour"
    assert not [*attempt.glob("*ing.npz"), *attempt.glob("checkpoint.npz")]
    about, arrays = read_arrays(attempt / "tuned.npz")
    assert about["embedder"] == name
    assert {weight.split(".")[2] for weight in arrays if "stages" in weight} == {"2", "3"}
    source = json.loads((attempt / "clusters.json").read_text())["source"]
    assert "embeddings of images, fine-tuned, named by" in source
    notes = json.loads((found.run / "run.json").read_text())["notes"]
    assert any(note.startswith("fine-tuning moved 0 of 24 images") for note in notes)
    of = [groups(found)[f"secret{i}.png"] for i in range(3)]
    assert sorted(of) == [0, 1, 2]
    assert all(group == of[int(i[6:-4]) % 3] for i, group in groups(found).items())
    # new images, also where the run has moved: by the tuned network alone
    moved = shutil.copytree(found.run, tmp_path / "moved")
    new = pictures(tmp_path / "new", "bbr")
    placed = service.assign(moved, str(new), tmp_path / "new-run", QUIET)
    assert [groups(placed)[f"secret{i}.png"] for i in range(3)] == [of[2], of[2], of[0]]
    after, before = load_embedder(f"tuned:{moved}/01-colour/tuned.npz"), load_embedder(name)
    assert after.identity.startswith(f"{before.identity} tuned:")
    vectors = [embedder.embed(photos) for embedder in (after, before)]
    assert not np.allclose(*vectors, atol=1e-3)
    assert (vectors[0] @ vectors[1].T).trace() / len(photos) > 0.5
    # explanations look through it
    explained, _ = service.explain(moved, ["secret0.png"], QUIET)
    assert explained.by == "logits of the head of scan"
    assert explained.agreement == 1
    assert explained.images[0].heat is not None
    assert "from fine-tuned embeddings of images" in (moved / "report.html").read_text("utf-8")


def test_a_run_in_which_nothing_is_learned(networks, photos, tmp_path):
    config = configured(
        photos[0].parent, f"transformers:{networks / 'vit'}", "clusterer.threshold=1.0"
    )
    found = started(config, tmp_path / "run")
    notes = json.loads((found.run / "run.json").read_text())["notes"]
    assert "no image is surer than 1.0: nothing to learn from in fine-tuning" in notes
    assert not (found.run / "01-colour/tuned.npz").exists()
    kept, _ = read_arrays(found.run / "01-colour/clusterer.npz")
    assert kept["by"] == config.embedder


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"method": "temi"}, "finetune=2: is a step of the method scan, not of temi"),
        ({"method": "agent", "clusterer": "scan"}, "finetune=2: is a step of the method scan"),
        ({"embedder": "tfidf"}, "tfidf: has no network that can be trained further"),
        ({"embedder": "tests.plugged:MeanColour"}, "MeanColour: has no network that can be"),
        ({"finetune": -1}, "finetune=-1: Input should be greater than or equal to 0"),
        ({"finetune_blocks": "some"}, "finetune_blocks='some'"),
    ],
)
def test_what_cannot_learn_is_said_before_a_run_begins(photos, tmp_path, values, line):
    with complains(line):
        values = {"embedder": "efficientnet", "finetune": 2} | values
        settings = SMALL["scan"] if values.get("method") != "temi" else []
        values |= {"criterion": "colour", "n_clusters": 3, "llm": "none", "vlm": "none"}
        config = make_config(
            {"dataset": str(photos[0].parent), "method": "scan"} | values, settings
        )
        started(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_samples_without_an_image(tmp_path):
    file = tmp_path / "m.jsonl"
    file.write_text('{"id": "a", "caption": "red"}\n{"id": "b", "caption": "blue"}\n')
    with complains("finetune=2: needs an image of each sample, and 'a' has none"):
        started(configured(file, "efficientnet", n_clusters=2), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_files_that_hold_no_tuned_network(tuned, photos, tmp_path):
    with complains("none.npz: cannot be read"):
        load_embedder(f"tuned:{tmp_path / 'none.npz'}")
    torn = shutil.copytree(tuned[0].run, tmp_path / "torn")
    attempt = torn / "01-colour"
    with complains("clusterer.npz: holds no network that was trained further"):
        load_embedder(f"tuned:{attempt / 'clusterer.npz'}")
    file = attempt / "tuned.npz"
    about, arrays = read_arrays(file)
    write_arrays(attempt / "other.npz", about | {"identity": "older"}, arrays)
    with complains("other.npz: was trained from another version of transformers:"):
        load_embedder(f"tuned:{attempt / 'other.npz'}")
    file.write_bytes(file.read_bytes()[:999])
    with complains("tuned.npz: cannot be read"):
        service.assign(torn, str(photos[0].parent), tmp_path / "new", QUIET)
