"""Embeddings by MoCo v3: the files of its authors, of which the hub has no counterpart.

Chen, Xie and He, An Empirical Study of Training Self-Supervised Vision Transformers (ICCV 2021):
ViT-S and ViT-B with fixed positions, and ResNet-50. A file of pretraining holds the encoder that
was trained and the one that follows it, each with a projection, which is left out; a file of
linear classification the encoder and a classifier. Pictures are prepared as the authors prepare
them for classification.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from agentclust.embedders.encoders import LESS
from agentclust.embedders.transformers import TransformersImages
from agentclust.errors import InputError
from agentclust.networks.checkpoints import hf
from agentclust.networks.devices import at_work
from agentclust.networks.failing import first_line, loading, out_of_memory

VERSION = 1  # rises whenever a vector may change
HEADS = 12  # of ViT-S, too, which elsewhere has 6
EDGE = 224  # pixels that ResNet-50 sees
CROP = 224 / 256  # of the shorter side
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NEXT_STEP = "give a file of its authors, such as vit-s-300ep.pth.tar or r-50-1000ep.pth.tar"

VIT = {  # their names of weights, as patterns, and those of transformers
    r"cls_token": "embeddings.cls_token",
    r"pos_embed": "embeddings.position_embeddings",
    r"patch_embed\.proj\.": "embeddings.patch_embeddings.projection.",
    r"norm\.": "layernorm.",
    r"blocks\.(\d+)\.norm1\.": r"layers.\1.layernorm_before.",
    r"blocks\.(\d+)\.norm2\.": r"layers.\1.layernorm_after.",
    r"blocks\.(\d+)\.attn\.([qkv])\.": r"layers.\1.attention.\2_proj.",
    r"blocks\.(\d+)\.attn\.proj\.": r"layers.\1.attention.o_proj.",
    r"blocks\.(\d+)\.mlp\.": r"layers.\1.mlp.",
}
STEM, LAYER = "embedder.embedder.", r"encoder.stages.\1.layers.\2."
RESNET = {  # counted from 0
    r"conv0\.": STEM + "convolution.",
    r"bn0\.": STEM + "normalization.",
    r"layer(\d+)\.(\d+)\.conv(\d)\.": LAYER + r"layer.\3.convolution.",
    r"layer(\d+)\.(\d+)\.bn(\d)\.": LAYER + r"layer.\3.normalization.",
    r"layer(\d+)\.(\d+)\.downsample\.0\.": LAYER + "shortcut.convolution.",
    r"layer(\d+)\.(\d+)\.downsample\.1\.": LAYER + "shortcut.normalization.",
}

Weights = dict[str, torch.Tensor]


def build(path: str) -> TransformersImages:
    """The embedder of a file, on a GPU where there is one.

    Raises:
        InputError: There is no such file, or it holds something else.
        ModelError: It cannot be read, or the network does not fit into memory.
    """
    name, file = f"moco-v3:{path}", Path(path).expanduser()
    if not file.is_file():
        raise InputError(name, "there is no such file", NEXT_STEP)
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    with loading(name, "PyTorch"), out_of_memory(name, LESS):
        weights = _encoder(name, torch.load(file, map_location="cpu", weights_only=True))
        convolutional = "conv1.weight" in weights
        try:
            model, edge = _resnet(weights) if convolutional else _vit(weights)
        except (KeyError, ValueError) as error:
            said = f"lacks {error}" if isinstance(error, KeyError) else first_line(error)
            raise InputError(name, f"is no network of MoCo v3 ({said})", NEXT_STEP) from None
        processor = hf.CLIPImageProcessorPil(
            size={"shortest_edge": round(edge / CROP)},
            crop_size={"height": edge, "width": edge},
            resample=Image.Resampling.BILINEAR,
            image_mean=MEAN,
            image_std=STD,
        )
        identity = f"moco-v3/{VERSION} sha256:{sha256}"
        return TransformersImages(name, identity, at_work(model), processor, pooled=convolutional)


def _encoder(name: str, held: Any) -> Weights:
    """The weights of the trained encoder, by the names of its own network."""
    state = held.get("state_dict") if isinstance(held, dict) else None
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise InputError(name, "holds no `state_dict` of weights", NEXT_STEP)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    trained = "base_encoder."
    if any(key.startswith(trained) for key in state):
        state = {key[len(trained) :]: state[key] for key in state if key.startswith(trained)}
    return {key: state[key] for key in state if not key.startswith(("head.", "fc."))}


def _vit(weights: Weights) -> tuple[Any, int]:
    """The vision transformer of these weights, and the edge of what it sees in pixels."""
    width, _, patch, _ = weights["patch_embed.proj.weight"].shape
    edge = patch * round((weights["pos_embed"].shape[1] - 1) ** 0.5)
    config = hf.ViTConfig(
        hidden_size=width,
        intermediate_size=len(weights["blocks.0.mlp.fc1.weight"]),
        num_hidden_layers=1 + max(int(key.split(".")[1]) for key in weights if "blocks." in key),
        num_attention_heads=HEADS,
        image_size=edge,
        patch_size=patch,
        layer_norm_eps=1e-6,
    )
    split: Weights = {}
    for key, value in weights.items():
        if ".qkv." in key:
            parts = zip("qkv", value.chunk(3), strict=True)
            split |= {key.replace("qkv", part): third for part, third in parts}
        else:
            split[key] = value
    return _filled(hf.ViTModel(config, add_pooling_layer=False), split, VIT), edge


def _resnet(weights: Weights) -> tuple[Any, int]:
    """The residual network of these weights, and the edge of what it sees in pixels."""
    ends = [key for key in weights if re.fullmatch(r"layer\d+\.\d+\.conv3\.weight", key)]
    stages = sorted({key.split(".")[0] for key in ends})
    config = hf.ResNetConfig(
        embedding_size=len(weights["conv1.weight"]),
        hidden_sizes=[len(weights[f"{stage}.0.conv3.weight"]) for stage in stages],
        depths=[sum(key.startswith(f"{stage}.") for key in ends) for stage in stages],
    )
    from_0 = {re.sub(r"(layer|conv|bn)(\d)", _one_less, key): weights[key] for key in weights}
    return _filled(hf.ResNetModel(config), from_0, RESNET), EDGE


def _one_less(counted: re.Match[str]) -> str:
    return f"{counted[1]}{int(counted[2]) - 1}"


def _filled(model: Any, weights: Weights, names: dict[str, str]) -> Any:
    """The network with these weights: all that it has, and no others.

    Raises:
        ValueError: Some are missing, left over, or of another shape.
    """
    renamed = {}
    for key, value in weights.items():
        found = (re.sub(f"^{theirs}", ours, key) for theirs, ours in names.items())
        renamed[next((new for new in found if new != key), key)] = value
    try:
        model.load_state_dict(renamed)
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split()).partition(": ")[2]) from None
    return model
