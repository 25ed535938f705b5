"""MoCo v3's files, of exactly the layout of the authors', and their networks written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from agentclust.embedders import load_embedder
from agentclust.embedders.traces import Attentions, Features
from agentclust.errors import ModelError
from agentclust.files.images import read_image
from tests.complaints import complains
from tests.pictures import draw

WIDTH, DEPTH, PATCH, EDGE = 48, 2, 8, 32
HEADS = 12
STAGES = (1, 2)  # blocks of each; the widths below


def normal(*shape):
    return torch.randn(*shape) * 0.2


def norm(name, width):
    """Layer normalisation, or what batch normalisation shares with it."""
    return {f"{name}.weight": 1 + normal(width), f"{name}.bias": normal(width)}


def linear(name, out, into, bias=True):
    return {f"{name}.weight": normal(out, into)} | ({f"{name}.bias": normal(out)} if bias else {})


def batch_norm(name, width):
    counted = {f"{name}.num_batches_tracked": torch.tensor(7)}
    moments = {
        f"{name}.running_mean": normal(width),
        f"{name}.running_var": 1 + normal(width).abs(),
    }
    return norm(name, width) | moments | counted


def vit():
    patches = (EDGE // PATCH) ** 2
    state = {"cls_token": normal(1, 1, WIDTH), "pos_embed": normal(1, patches + 1, WIDTH)}
    state["patch_embed.proj.weight"] = normal(WIDTH, 3, PATCH, PATCH)
    state["patch_embed.proj.bias"] = normal(WIDTH)
    for block in (f"blocks.{n}" for n in range(DEPTH)):
        state |= norm(f"{block}.norm1", WIDTH) | norm(f"{block}.norm2", WIDTH)
        state |= linear(f"{block}.attn.qkv", 3 * WIDTH, WIDTH)
        state |= linear(f"{block}.attn.proj", WIDTH, WIDTH)
        state |= linear(f"{block}.mlp.fc1", 4 * WIDTH, WIDTH)
        state |= linear(f"{block}.mlp.fc2", WIDTH, 4 * WIDTH)
    return state | norm("norm", WIDTH)


def resnet():
    state = {"conv1.weight": normal(8, 3, 7, 7)} | batch_norm("bn1", 8)
    into = 8
    for stage, blocks in enumerate(STAGES, start=1):
        inner = 8 * stage
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            shapes = ((inner, into, 1, 1), (inner, inner, 3, 3), (4 * inner, inner, 1, 1))
            for n, shape in enumerate(shapes, start=1):
                state[f"{at}.conv{n}.weight"] = normal(*shape)
                state |= batch_norm(f"{at}.bn{n}", shape[0])
            if block == 0:
                state[f"{at}.downsample.0.weight"] = normal(4 * inner, into, 1, 1)
                state |= batch_norm(f"{at}.downsample.1", 4 * inner)
            into = 4 * inner
    return state


def pretraining(encoder, head):
    """What a file of pretraining holds: two encoders below projections, and the optimizer."""
    projection = linear(f"{head}.0", 16, WIDTH, bias=False) | batch_norm(f"{head}.1", 16)
    predictor = linear("predictor.0", 16, 16, bias=False) | batch_norm("predictor.1", 16)
    state = {f"module.base_encoder.{key}": value for key, value in (encoder | projection).items()}
    follows = {key: value + 1 for key, value in (encoder | projection).items()}
    state |= {f"module.momentum_encoder.{key}": value for key, value in follows.items()}
    state |= {f"module.{key}": value for key, value in predictor.items()}
    weights = [torch.nn.Parameter(torch.zeros(3))]
    optimizer = torch.optim.AdamW(weights, lr=0.1).state_dict()
    return {
        "epoch": 300,
        "arch": "vit_small",
        "state_dict": state,
        "optimizer": optimizer,
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0},
    }


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(0)
    states = {"vit": (vit(), "head"), "resnet": (resnet(), "fc")}
    for kind, (state, head) in states.items():
        torch.save(pretraining(state, head), tmp_path / f"{kind}.pth.tar")
    return tmp_path


@pytest.fixture
def photo(tmp_path):
    """Rather small, so that it is scaled up; its sides scale to whole numbers."""
    return draw(tmp_path / "photo.png", size=(60, 40))


def prepared(file, edge):
    """The middle of the picture, its shorter side 256 / 224 of what is seen of it."""
    image = read_image(file)
    short = round(edge * 256 / 224)
    scale = short / min(image.size)
    wide, high = (int(side * scale) for side in image.size)
    left, top = (wide - edge) // 2, (high - edge) // 2
    scaled = image.resize((wide, high), resample=2)  # bilinear
    values = np.asarray(scaled.crop((left, top, left + edge, top + edge)), dtype=np.float32) / 255
    values = (values - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return torch.from_numpy(values.transpose(2, 0, 1)[None].astype(np.float32))


def run_vit(w, x):
    """Dosovitskiy et al., equations 1 to 4, of the class token."""

    def norm(x, name):
        return functional.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def linear(x, name):
        return functional.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    proj = "patch_embed.proj"
    x = functional.conv2d(x, w[f"{proj}.weight"], w[f"{proj}.bias"], stride=PATCH)
    x = torch.cat([w["cls_token"], x.flatten(2).transpose(1, 2)], dim=1) + w["pos_embed"]
    for n in range(DEPTH):
        qkv = linear(norm(x, f"blocks.{n}.norm1"), f"blocks.{n}.attn.qkv")[0]
        q, k, v = qkv.reshape(-1, 3, HEADS, WIDTH // HEADS).permute(1, 2, 0, 3)
        attention = (q @ k.transpose(1, 2) / (WIDTH // HEADS) ** 0.5).softmax(dim=-1)
        heads = (attention @ v).transpose(0, 1).reshape(1, -1, WIDTH)
        x = x + linear(heads, f"blocks.{n}.attn.proj")
        inner = functional.gelu(linear(norm(x, f"blocks.{n}.norm2"), f"blocks.{n}.mlp.fc1"))
        x = x + linear(inner, f"blocks.{n}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def run_resnet(w, x):
    """He et al., with the stride in the second convolution of a bottleneck."""

    def conv(x, conv, norm, stride=1):
        weight = w[f"{conv}.weight"]
        x = functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        known = (w[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *known)

    x = functional.max_pool2d(conv(x, "conv1", "bn1", 2).relu(), 3, 2, 1)
    for stage, blocks in enumerate(STAGES, start=1):
        for block in range(blocks):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = conv(x, f"{at}.conv1", f"{at}.bn1").relu()
            inner = conv(inner, f"{at}.conv2", f"{at}.bn2", stride).relu()
            inner = conv(inner, f"{at}.conv3", f"{at}.bn3")
            if block == 0:
                x = conv(x, f"{at}.downsample.0", f"{at}.downsample.1", stride)
            x = (x + inner).relu()
    return x.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("kind", "run", "edge"), [("vit", run_vit, EDGE), ("resnet", run_resnet, 224)]
)
def test_the_vector_is_that_of_the_network_written_out(files, photo, kind, run, edge):
    state = torch.load(files / f"{kind}.pth.tar", weights_only=True)["state_dict"]
    prefix = "module.base_encoder."
    weights = {key[len(prefix) :]: state[key] for key in state if key.startswith(prefix)}
    with torch.inference_mode():
        expected = functional.normalize(run(weights, prepared(photo, edge)))
    embedder = load_embedder(f"moco-v3:{files / f'{kind}.pth.tar'}", "image")
    found = embedder.embed([photo])
    assert np.allclose(found, expected.numpy(), atol=1e-4)
    trace = embedder.trace(photo)
    assert isinstance(trace, Attentions if kind == "vit" else Features)
    assert np.allclose(trace.vector.detach().numpy(), found[0], atol=1e-5)
    # a file of linear classification: the encoder alone, and a classifier
    plain = {f"module.{key}": weights[key] for key in weights if not key.startswith(("head", "fc"))}
    plain |= linear("module.head" if kind == "vit" else "module.fc", 5, WIDTH)
    torch.save({"epoch": 90, "state_dict": plain}, files / "linear.pth.tar")
    linear_file = load_embedder(f"moco-v3:{files / 'linear.pth.tar'}")
    assert np.allclose(linear_file.embed([photo]), found, atol=1e-5)
    assert linear_file.identity != embedder.identity  # other bytes


def test_a_file_of_something_else(files):
    whole = torch.load(files / "vit.pth.tar", weights_only=True)

    def complaint(change, *lines, kind=None):
        state = {"state_dict": dict(whole["state_dict"])}
        change(state["state_dict"])
        torch.save(state, files / "x.pth.tar")
        with complains(*lines):
            load_embedder(f"moco-v3:{files / 'x.pth.tar'}")

    base = "module.base_encoder."
    no = "is no network of MoCo v3"
    complaint(lambda s: s.pop(f"{base}norm.weight"), no, "layernorm.weight", "vit-s-300ep.pth.tar")
    complaint(lambda s: s.update({f"{base}blocks.0.ls1.gamma": normal(3)}), no, "ls1.gamma")
    complaint(lambda s: s.pop(f"{base}pos_embed"), no, "pos_embed")
    complaint(lambda s: s.update({f"{base}pos_embed": normal(1, 4, WIDTH)}), no, "size mismatch")
    complaint(lambda s: s.clear(), no)
    complaint(lambda s: s.update({"epoch": 3}), "holds no `state_dict` of weights")
    with complains("there is no such file"):
        load_embedder("moco-v3:gone.pth.tar")
    with complains("there is no such file"):
        load_embedder("moco-v3:")
    (files / "x.pth.tar").write_bytes((files / "vit.pth.tar").read_bytes()[:900])
    with complains("cannot be loaded", kind=ModelError):
        load_embedder(f"moco-v3:{files / 'x.pth.tar'}")
