"""Networks of open_clip against its own way from a file to a vector."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from agentclust.embedders import load_embedder
from agentclust.embedders.traces import Attentions, Features
from agentclust.errors import ModelError
from agentclust.explaining.heat import heat
from agentclust.files.images import read_image
from tests.complaints import complains
from tests.libraries import library
from tests.pictures import draw

open_clip = library("open_clip")

TEXT = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
TRUNK = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
VISION = {  # tiny ones of each kind
    "vit": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "timm": TRUNK,
}
KEPT = {"vit": (Attentions, (4, 4)), "resnet": (Features, (2, 2)), "timm": (Attentions, (10, 10))}


@pytest.fixture
def photo(tmp_path):
    return draw(tmp_path / "photo.png", size=(90, 60))


def saved(folder, kind, **more):
    """A folder as the hub has them: a configuration and random weights."""
    config = {"embed_dim": 24, "vision_cfg": VISION[kind], "text_cfg": TEXT} | more
    about = {"model_cfg": config, "preprocess_cfg": {"interpolation": "bilinear"}}
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(about))
    torch.manual_seed(0)
    network = open_clip.create_model(f"local-dir:{folder}")
    torch.save(network.state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


@pytest.mark.parametrize("kind", VISION)
def test_vectors_are_those_of_open_clip_itself(tmp_path, photo, kind):
    folder = saved(tmp_path / kind, kind)
    own, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    with torch.inference_mode():
        expected = own.eval().encode_image(prepare(read_image(photo))[None], normalize=True)
    handlers = list(logging.getLogger().handlers)
    embedder = load_embedder(f"open_clip:{folder}", "image")
    assert logging.getLogger().handlers == handlers  # open_clip would add one that prints
    found = embedder.embed([photo])
    assert np.allclose(found, expected.numpy(), atol=1e-5)

    trace = embedder.trace(photo)
    form, places = KEPT[kind]
    assert isinstance(trace, form)
    assert np.allclose(trace.vector.detach().numpy(), found[0], atol=1e-5)
    for seed in range(3):  # of some directions nothing speaks for either them or their opposite
        towards = torch.randn(24, generator=torch.Generator().manual_seed(seed))
        both = [heat(embedder.trace(photo), sign * towards) for sign in (1, -1)]
        assert all(warm.shape == places and warm.min() >= 0 for warm in both)
        assert max(warm.sum() for warm in both) == pytest.approx(1, abs=1e-5)
    embedder._model.half()  # as on a GPU
    assert np.allclose(embedder.embed([photo]), found, atol=0.01)
    # the shorter side fits, the middle of the longer one is seen
    assert np.allclose(trace.seen, (1 / 6, 0, 5 / 6, 1), atol=0.02)


def test_the_identity_tells_weights_and_activations_apart(tmp_path):
    one = load_embedder(f"open_clip:{saved(tmp_path / 'one', 'vit')}").identity
    assert load_embedder(f"open_clip:local-dir:{tmp_path / 'one'}").identity == one
    quick = saved(tmp_path / "quick", "vit", quick_gelu=True)  # the same weights
    assert load_embedder(f"open_clip:{quick}").identity != one
    weights = tmp_path / "one" / "open_clip_pytorch_model.bin"
    state = torch.load(weights, weights_only=True)
    state["visual.proj"] += 1
    torch.save(state, weights)
    load_embedder.cache_clear()
    assert load_embedder(f"open_clip:{tmp_path / 'one'}").identity != one


def test_names_and_files_that_do_not_fit(tmp_path):
    with complains("open_clip knows no such network", "did you mean 'ViT-B-32'"):
        load_embedder("open_clip:ViT-B32/openai")
    with complains("names no weights", "laion2b_s34b_b79k"):
        load_embedder("open_clip:ViT-B-32")
    with complains("there are no weights 'x'", "laion2b_s34b_b79k"):
        load_embedder("open_clip:ViT-B-32/x")
    with complains("cannot be loaded", kind=ModelError):
        load_embedder(f"open_clip:{tmp_path}")
    folder = saved(tmp_path / "torn", "vit")
    weights = folder / "open_clip_pytorch_model.bin"
    state = torch.load(weights, weights_only=True)
    del state["visual.ln_post.weight"]
    torch.save(state, weights)
    with complains("cannot be loaded", kind=ModelError):
        load_embedder(f"open_clip:{folder}")
