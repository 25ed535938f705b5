"""SCAN that trains the network of the images: on drawn pictures, by tiny networks."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from agentclust import service
from agentclust.clusterers.scan import SCAN
from agentclust.config import make_config
from agentclust.embedders import load_embedder
from agentclust.embedders.trainable import open_last
from agentclust.files.arrays import Checkpoint, read_arrays, write_arrays
from agentclust.files.images import read_image
from agentclust.tuning import learning
from agentclust.tuning.augmenting import OPERATIONS, strong
from agentclust.tuning.learning import Plan, learn
from tests.complaints import complains
from tests.plugged import pictures
from tests.test_clustered_runs import QUIET, SMALL, groups
from tests.test_transformers_embedders import clip, convnext, siglip, vit

COLOURS = "rgb" * 8


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Tiny networks with random weights, which tell colours apart."""
    root = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    for kind in (clip, convnext, siglip, vit):
        for part in kind():
            part.save_pretrained(root / kind.__name__)
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return sorted(pictures(tmp_path_factory.mktemp("drawn") / "photos", COLOURS).iterdir())


@pytest.fixture
def vits(networks, photos):
    """An embedder, and a clusterer that is fitted on its vectors."""
    embedder = load_embedder(f"transformers:{networks / 'vit'}")
    model = SCAN(3, n_heads=2, random_state=0, threshold=0.6).fit(embedder.embed(photos))
    return embedder, model


def learned(vits, photos, folder, advance=lambda: None, **changes):
    embedder, model = vits
    plan = Plan(**{"epochs": 3, "blocks": 1, "threshold": 0.6, "seed": 0} | changes)
    checkpoint = Checkpoint(folder / "tuning.npz", {"plan": str(plan)})
    return learn(embedder.network(), model, photos, plan, checkpoint, advance)


def configured(photos, embedder, *settings, **values):
    values = {"criterion": "colour", "n_clusters": 3, "method": "scan", "llm": "none",
              "vlm": "none", "dataset": str(photos), "embedder": embedder} | values  # fmt: skip
    return make_config(values, [*SMALL["scan"], "finetune=2", *settings])


def started(config, out):
    return service.start([config], out, reporter=QUIET)[0]


# what learns


@pytest.mark.parametrize(
    ("kind", "last", "after"),
    [
        ("vit", "layers.1.", {"layernorm"}),
        ("clip", "vision_model.encoder.layers.1.", {"vision_model", "visual_projection"}),
        ("siglip", "vision_model.encoder.layers.1.", {"vision_model"}),
        ("convnext", "encoder.stages.3.", {"layernorm"}),
    ],
)
def test_the_last_blocks_and_what_follows_them(networks, photos, kind, last, after):
    embedder = load_embedder(f"transformers:{networks / kind}")
    image = read_image(photos[0])
    names = set(open_last(embedder.network(), image, 1))
    own = {name for name in names if name.startswith(last)}
    assert own
    assert {name.split(".")[0] for name in names - own} == after
    assert not any(word in name for name in names for word in ("embeddings", "stages.2", "text_"))
    more = set(open_last(embedder.network(), image, 2))
    assert names < more
    assert not any("embeddings" in name for name in more)
    whole = set(open_last(embedder.network(), image, "all"))
    assert more < whole
    assert any("embeddings" in name for name in whole)
    assert not any("text_" in name for name in whole)
    with complains("finetune_blocks=9: the network has "):
        open_last(embedder.network(), image, 9)


def test_efficientnet_learns_and_embeds_anew(photos):
    embedder = load_embedder("efficientnet")
    network = embedder.network()
    weights = open_last(network, read_image(photos[0]), 1)
    assert {name.split(".")[0] for name in weights} == {"_blocks", "_conv_head"}
    assert {name.split(".")[1] for name in weights if "blocks" in name} == {"15"}
    pixels = torch.from_numpy(np.stack([network.pixels(read_image(photos[i])) for i in (0, 1)]))
    before = embedder.embed(photos[:2])
    assert np.allclose(network.vectors(pixels).detach(), before, atol=1e-5)
    towards = torch.randn(1280, generator=torch.Generator().manual_seed(0))
    (network.vectors(pixels) @ towards).sum().backward()
    with torch.no_grad():
        for weight in weights.values():
            assert weight.grad.any()
            weight += 0.01
    tuned = embedder.tuned(weights, "another")
    assert tuned.identity == "another"
    after = tuned.embed(photos[:2])
    assert np.allclose(network.vectors(pixels).detach(), after, atol=1e-5)
    assert not np.allclose(after, before, atol=1e-3)
    assert np.array_equal(embedder.embed(photos[:2]), before)


# how it learns


def agreed(network, model, head, photos):
    """How probable the clusters of pictures are where the pictures are changed, on the mean."""
    views = [read_image(photo) for photo in photos]
    changed = [strong(view, np.random.default_rng((9, i))) for i, view in enumerate(views)]
    with torch.no_grad():
        here, there = (
            model.logits(
                network.vectors(torch.from_numpy(np.stack([network.pixels(i) for i in images]))),
                head,
            ).softmax(dim=1)
            for images in (views, changed)
        )
    return float(there[torch.arange(len(here)), here.argmax(dim=1)].mean())


def test_it_learns_to_look_past_changes(vits, photos, tmp_path):
    embedder, model = vits
    labels = model.labels_.copy()
    weights, head, why = learned(vits, photos, tmp_path, epochs=10, learning_rate=1e-3)
    assert why == ""
    first = dict(embedder.network().module.named_parameters())
    assert all(not torch.equal(weight, first[name]) for name, weight in weights.items())
    tuned = embedder.tuned(weights, "tuned")
    assert np.array_equal(model.labels_, labels)  # as long as nobody adopts it
    before = agreed(embedder.network(), model, model.head(), photos)
    after = agreed(tuned.network(), model, head, photos)
    assert after > before + 0.02
    model.adopt(head, tuned.embed(photos))
    assert np.array_equal(model.labels_, labels)
    assert sorted(set(labels)) == [0, 1, 2]


def test_a_seed_repeats(vits, photos, tmp_path):
    found = []
    for turn, seed in enumerate((0, 0, 1)):
        (tmp_path / str(turn)).mkdir()
        weights, head, _ = learned(vits, photos, tmp_path / str(turn), seed=seed)
        found.append([*weights.values(), *head])
    first, again, other = found
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_collapse_comes_to_nothing(vits, photos, tmp_path):
    weights, head, why = learned(vits, photos, tmp_path, learning_rate=1.0)
    assert (weights, head) == ({}, [])
    assert why.endswith("in fine-tuning: network and clusters of before are kept")


def test_nothing_sure_is_nothing_learned(vits, photos, tmp_path):
    assert learned(vits, photos, tmp_path, threshold=1.0) == (
        {}, [], "no image is surer than 1.0: nothing to learn from in fine-tuning"
    )  # fmt: skip


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(vits, photos, tmp_path, moment):
    """Killed between two batches or two epochs."""
    batch, every = learning.BATCH, learning.SAVED_EVERY

    class Killed(BaseException):
        pass

    looked = []

    def die():
        looked.append(1)
        if len(looked) == 3 * moment + 1:
            raise Killed

    learning.BATCH, learning.SAVED_EVERY = 9, 0.0
    try:
        (tmp_path / "whole").mkdir()
        whole, head, _ = learned(vits, photos, tmp_path / "whole")
        with pytest.raises(Killed):
            learned(vits, photos, tmp_path, die)
        at, _ = read_arrays(tmp_path / "tuning.npz")
        assert (at["epoch"], at["step"]) == (moment - 1, 3)
        looked.clear()
        again, resumed, _ = learned(vits, photos, tmp_path, lambda: looked.append(1))
    finally:
        learning.BATCH, learning.SAVED_EVERY = batch, every
    assert len(looked) == 3 * (4 - moment)  # it does not look again at what it has learned
    pairs = zip([*whole.values(), *head], [*again.values(), *resumed], strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with complains("is a checkpoint of other vectors or settings"):
        learned(vits, photos, tmp_path, seed=3)


def test_each_operation_changes_a_picture_within_bounds():
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 255, (20, 30, 3), dtype=np.uint8))
    for place, operation in enumerate(OPERATIONS):
        for strength in (-1.0, -0.4, 0.3, 1.0):
            changed = operation(image, strength)
            assert (changed.mode, changed.size) == ("RGB", image.size)
            assert (changed == image) == (place == 0) or place in (1, 2)
    views = [strong(image, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert views[0] == views[1] != views[2]
    assert strong(Image.new("RGB", (1, 1)), random).size == (1, 1)


# runs


@pytest.fixture(scope="module")
def tuned(networks, photos, tmp_path_factory):
    """A run with its embedder's name."""
    name = f"transformers:{networks / 'convnext'}"
    config = configured(photos[0].parent, name, "finetune_blocks=2", "clusterer.threshold=0.6")
    return started(config, tmp_path_factory.mktemp("runs") / "run"), name


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
