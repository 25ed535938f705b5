"""SCAN that trains the network of the images: on drawn pictures, by tiny networks."""

import numpy as np
import pytest
import torch
from PIL import Image

from agentclust.embedders import load_embedder
from agentclust.embedders.trainable import open_last
from agentclust.files.arrays import read_arrays
from agentclust.files.images import read_image
from agentclust.tuning import learning
from agentclust.tuning.augmenting import OPERATIONS, strong
from tests.complaints import complains
from tests.tuning.starting import learned

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
