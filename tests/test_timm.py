"""Networks of timm against timm's own way from a file to a vector."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from agentclust.embedders import load_embedder
from agentclust.embedders.traces import Attentions, Features
from agentclust.errors import ModelError
from agentclust.explaining.heat import heat
from agentclust.files.images import read_image
from tests.complaints import complains
from tests.libraries import library
from tests.pictures import draw

timm = library("timm")

GRID = {
    "vit_tiny_patch16_224": (14, 14),  # a class token
    "eva02_tiny_patch14_224": (16, 16),  # positions in the attention
    "vit_small_patch16_dinov3": (16, 16),  # registers
    "test_vit3": (10, 10),  # tokens pooled by attention
    "swin_tiny_patch4_window7_224": (7, 7),  # places before channels
    "convnext_atto": (7, 7),
    "resnet18": (7, 7),
    "mobilenetv3_small_050": (7, 7),  # a layer between pooling and classifier
    "cait_xxs24_224": None,  # the class token comes late
}


@pytest.fixture
def photo(tmp_path):
    return draw(tmp_path / "photo.png", size=(90, 60))


def random_weights(known, file):
    torch.manual_seed(0)
    network = timm.create_model(known).eval()
    torch.save(network.state_dict(), file)
    return network


@pytest.mark.parametrize("known", GRID)
def test_vectors_are_those_of_timm_itself(tmp_path, photo, known):
    random_weights(known, tmp_path / "weights.pth")
    embedder = load_embedder(f"timm:{known}/{tmp_path / 'weights.pth'}", "image")
    own = timm.create_model(known, num_classes=0).eval()
    own.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True), strict=False)
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(own))
    with torch.inference_mode():
        expected = functional.normalize(own(prepare(read_image(photo))[None]))
    found = embedder.embed([photo])
    assert np.allclose(found, expected.numpy(), atol=1e-5)

    if GRID[known] is None:
        with complains("keeps neither places nor the attention between all of them"):
            embedder.trace(photo)
        return
    trace = embedder.trace(photo)
    assert isinstance(trace, Attentions if len(own.forward_features(
        prepare(read_image(photo))[None]).shape) == 3 else Features)  # fmt: skip
    assert np.allclose(trace.vector.detach().numpy(), found[0], atol=1e-5)
    warm = heat(trace, torch.randn(len(trace.vector), generator=torch.Generator().manual_seed(0)))
    assert warm.shape == GRID[known]
    assert warm.min() >= 0
    assert warm.sum() == pytest.approx(1, abs=1e-5)
    # the network computes its attention as before
    assert np.allclose(embedder.embed([photo]), found, atol=1e-6)
    embedder._model.half()  # as on a GPU
    assert np.allclose(embedder.embed([photo]), found, atol=0.01)


def test_a_folder_that_timm_has_saved_and_what_the_identity_tells(tmp_path, photo):
    network = random_weights("test_vit", tmp_path / "weights.pth")
    folder = tmp_path / "saved"
    timm.models.save_for_hf(network, folder)
    by_file = load_embedder(f"timm:test_vit/{tmp_path / 'weights.pth'}")
    by_folder = load_embedder(f"timm:{folder}")
    assert np.allclose(by_folder.embed([photo]), by_file.embed([photo]), atol=1e-6)
    assert by_folder.identity == by_file.identity
    assert load_embedder(f"timm:local-dir:{folder}").identity == by_file.identity

    about = folder / "config.json"
    known = json.loads(about.read_text())
    known["pretrained_cfg"]["crop_pct"] = 0.5  # pictures are prepared in another way
    about.write_text(json.dumps(known))
    load_embedder.cache_clear()
    cropped = load_embedder(f"timm:{folder}")
    assert cropped.identity != by_file.identity
    assert np.abs(cropped.embed([photo]) - by_file.embed([photo])).max() > 1e-4


def test_names_and_files_that_do_not_fit(tmp_path):
    with complains("timm knows no such network", "did you mean 'vit_small_patch14_dinov2"):
        load_embedder("timm:vit_small_patch14_dinov2x.lvd142m")
    with complains("timm knows no such network", "list_pretrained"):
        load_embedder("timm:")
    with complains("there is no file", "write timm:NAME"):
        load_embedder("timm:test_vit/gone.pth")
    (tmp_path / "empty").mkdir()
    with complains("has no config.json"):
        load_embedder(f"timm:{tmp_path / 'empty'}")
    with complains("cannot be loaded", kind=ModelError):
        load_embedder("timm:test_vit.no_such_tag")

    file = tmp_path / "weights.pth"
    state = random_weights("test_vit", file).state_dict()
    gone = state.pop("norm.weight")
    torch.save(state, file)
    with complains("has no weights for norm.weight"):
        load_embedder(f"timm:test_vit/{file}")
    torch.save(state | {"norm.weight": gone, "blocks.0.ls1.gamma": gone}, file)
    with complains("holds blocks.0.ls1.gamma, which test_vit has not"):
        load_embedder(f"timm:test_vit/{file}")
    file.write_bytes(file.read_bytes()[:300])
    with complains("cannot be loaded", kind=ModelError):
        load_embedder(f"timm:test_vit/{file}")
