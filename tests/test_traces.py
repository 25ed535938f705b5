"""How vectors come about, for each architecture, and the heat maps that are made of it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import transformers as hf

from agentclust.embedders import load_embedder
from agentclust.embedders.traces import Attentions, Features
from agentclust.errors import ImageProblem
from agentclust.explaining.heat import contrast, direction, heat, roll_out
from tests.complaints import complains
from tests.pictures import draw
from tests.test_transformers_embedders import KINDS

GRID = {"clip": (2, 2), "siglip": (2, 2), "dinov2": (2, 2), "dinov3": (2, 2), "mae": (2, 2),
        "msn": (2, 2), "vit": (2, 2), "convnext": (2, 2), "resnet": (8, 8)}  # fmt: skip


def resnet():
    config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    return hf.ResNetModel(config), hf.ViTImageProcessorPil(size={"height": 64, "width": 64})


def swin():
    """Its attention stays within windows."""
    config = hf.SwinConfig(image_size=32, patch_size=4, embed_dim=16, depths=[1, 1],
                           num_heads=[2, 2], window_size=4)  # fmt: skip
    return hf.SwinModel(config), hf.ViTImageProcessorPil(size={"height": 32, "width": 32})


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    root = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    for kind in (*KINDS, resnet, swin):
        for part in kind():
            part.save_pretrained(root / kind.__name__)
    return root


@pytest.fixture
def photo(tmp_path):
    return draw(tmp_path / "photo.png", size=(90, 60))


def warmth(trace, seed=0):
    centers = torch.randn(3, len(trace.vector), generator=torch.Generator().manual_seed(seed))
    return heat(trace, direction(lambda rows: rows @ centers.T, trace.vector, 1))


@pytest.mark.parametrize("kind", GRID)
def test_each_architecture_tells_where_its_evidence_lies(networks, photo, kind):
    embedder = load_embedder(f"transformers:{networks / kind}")
    trace = embedder.trace(photo)
    assert isinstance(trace, Features if kind in ("convnext", "resnet") else Attentions)
    vector = trace.vector.detach().numpy()
    assert np.allclose(vector, embedder.embed([photo])[0], atol=1e-5)
    for seed in range(3):
        warm = warmth(trace, seed) if seed == 0 else warmth(embedder.trace(photo), seed)
        assert warm.shape == GRID[kind]
        assert np.isfinite(warm).all()
        assert warm.min() >= 0
        assert warm.sum() == pytest.approx(1, abs=1e-5) or not warm.any()
    # the network computes its attention as before
    assert embedder._model.config._attn_implementation == ("eager" if kind in (
        "convnext", "resnet") else "sdpa")  # fmt: skip


@pytest.mark.parametrize("kind", GRID)
def test_in_half_precision_the_heat_is_the_same(networks, tmp_path, photo, kind):
    """As networks are on a GPU; they are so afterwards, too."""
    folder = shutil.copytree(networks / kind, tmp_path / kind)  # the loaded one serves other tests
    embedder = load_embedder(f"transformers:{folder}")
    whole = warmth(load_embedder(f"transformers:{networks / kind}").trace(photo))
    embedder._model.half()
    assert np.allclose(warmth(embedder.trace(photo)), whole, atol=0.02)
    assert embedder._model.dtype == torch.float16


def test_what_the_network_sees_of_a_picture(networks, photo):
    """A square out of the middle of 90 by 60, of those that crop; EfficientNet crops more."""
    seen = load_embedder(f"transformers:{networks / 'clip'}").trace(photo).seen
    assert np.allclose(seen, (1 / 6, 0, 5 / 6, 1), atol=0.01)
    whole = load_embedder(f"transformers:{networks / 'vit'}").trace(photo).seen
    assert np.allclose(whole, (0, 0, 1, 1), atol=0.01)
    central = load_embedder("efficientnet").trace(photo).seen
    edge = 60 * 224 / 256 / 2
    assert np.allclose(central, ((45 - edge) / 90, 1 / 16, (45 + edge) / 90, 15 / 16))


def test_shuffled_patches_are_put_back(networks, photo):
    """MAE shuffles them anew each time."""
    embedder = load_embedder(f"transformers:{networks / 'mae'}")
    traces = [embedder.trace(photo) for _ in range(8)]
    assert len({str(trace.patches.tolist()) for trace in traces}) > 1
    first, *others = (warmth(trace) for trace in traces)
    assert all(np.allclose(other, first, atol=1e-4) for other in others)
    assert first.max() > first.min() + 1e-3


def test_the_roll_out_of_two_tokens_by_hand():
    """One layer, one head, a class token and a patch."""
    layer = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]], requires_grad=True)
    values = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    last = (layer[0, 0] @ values)[None]
    vector = last[0, 0]
    trace = Attentions(vector, (0, 0, 1, 1), (layer,), last, torch.tensor([[1]]))
    # d(score)/d(attention) of the class token is (1 * 1, 3 * 2): weighted 0.75 and 1.5, over 2.25
    score = vector @ torch.tensor([1.0, 3.0])
    assert roll_out(trace, score).item() == pytest.approx(1.5 / 2.25 / 2)


def test_grad_cam_by_hand():
    """Two channels of 1 by 2 places; the second channel counts against the cluster."""
    maps = torch.tensor([[[[2.0, 0.0]], [[0.0, 4.0]]]], requires_grad=True)
    trace = Features(maps.mean(dim=(2, 3))[0], (0, 0, 1, 1), maps)
    assert heat(trace, torch.tensor([1.0, -1.0])).tolist() == [[1.0, 0.0]]
    trace = Features(maps.mean(dim=(2, 3))[0], (0, 0, 1, 1), maps)
    assert not heat(trace, torch.tensor([-1.0, -1.0])).any()  # nothing speaks for it


def test_the_way_to_a_vector():
    """Of linear scores the weights; of others the contrast there less that of nothing."""
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    vector = torch.tensor([0.6, 0.8])
    found = direction(lambda rows: rows @ weights.T, vector, 2)
    assert torch.allclose(found, weights[2] - weights[:2].mean(dim=0))

    def bent(rows):
        return torch.tanh(3 * rows @ weights.T)

    found = direction(bent, vector, 0)
    both = contrast(bent(torch.stack([vector, 0 * vector])), 0)
    assert float(found @ vector) == pytest.approx(float(both[0] - both[1]), abs=0.01)


def test_networks_and_files_without_a_trace(networks, tmp_path, photo):
    with complains("keeps neither places nor the attention between all of them"):
        load_embedder(f"transformers:{networks / 'swin'}").trace(photo)
    with complains("gone.png: file not found", kind=ImageProblem):
        load_embedder("efficientnet").trace(tmp_path / "gone.png")
