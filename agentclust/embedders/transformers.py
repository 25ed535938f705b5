"""Embeddings by any encoder that transformers knows: a repository of the hub, or a folder.

CLIP, SigLIP, DINOv2 and DINOv3, ConvNeXt, MAE, MSN and other image encoders; text encoders, BERT
and its like, through sentence-transformers, which reads how their vectors are pooled.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agentclust.embedders import Embedder, Kind, Vectors, normalized
from agentclust.embedders.encoders import LESS, ImageEncoder, Inside, grid
from agentclust.errors import InputError, MissingExtra
from agentclust.networks.checkpoints import hf, locate, quiet
from agentclust.networks.devices import fastest
from agentclust.networks.failing import loading, out_of_memory
from agentclust.networks.threads import one_thread

VERSION = 1  # rises whenever a vector may change


class TransformersImages(ImageEncoder):
    """Image encoders of transformers.

    Of CLIP and SigLIP, the vector is the one that is compared with texts; of others the pooled
    output where its weights are there, else the class token, else the mean over the places.
    """

    def __init__(self, name: str, identity: str, model: Any, processor: Any, pooled: bool) -> None:
        super().__init__(
            name,
            identity,
            model,
            lambda image: processor(images=image, return_tensors="np")["pixel_values"][0],
        )
        self._pooled = pooled

    def _vectors(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        return self._output(model, pixels)[1]

    def _inside(self, model: Any, pixels: torch.Tensor) -> Inside:
        with _telling(model):
            out, found = self._output(model, pixels, output_attentions=True)
        last, layers = out.last_hidden_state, tuple(out.get("attentions") or ())
        patches = _patches(model, out, layers, pixels.shape) if last.ndim == 3 else None
        return Inside(found, last, layers, patches)

    def _output(self, model: Any, pixels: torch.Tensor, **how: Any) -> tuple[Any, torch.Tensor]:
        """What the network says of prepared images, and the vectors in it."""
        if hasattr(model, "get_image_features"):
            out = model.get_image_features(pixel_values=pixels, **how)
            return out, out.pooler_output
        out = model(pixel_values=pixels, **how)
        found = getattr(out, "pooler_output", None) if self._pooled else None
        return out, _whole(model, out) if found is None else found


@contextmanager
def _telling(model: Any) -> Iterator[None]:
    """Let a network tell its attention, which faster ways to compute it do not keep."""
    before = model.config._attn_implementation
    able = model._can_set_attn_implementation()
    if able:
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        if able:
            model.set_attn_implementation(before)


def _patches(
    model: Any, out: Any, layers: tuple[torch.Tensor, ...], shape: tuple[int, ...]
) -> torch.Tensor | None:
    """The token of each patch, shape (h, w); None where it is not a plain vision transformer."""
    edge = getattr(getattr(model.config, "vision_config", model.config), "patch_size", None)
    if not isinstance(edge, int):
        return None
    found = grid(out.last_hidden_state, layers, shape[-2] // edge, shape[-1] // edge)
    order = out.get("ids_restore")  # MAE shuffles its patches
    if found is None or order is None:
        return found
    shuffled: torch.Tensor = found.min() + order[0].cpu().reshape(found.shape)
    return shuffled


def _whole(model: Any, out: Any) -> torch.Tensor:
    """The class token, or the mean over the places where a network has none, shape (n, d)."""
    last: torch.Tensor = out.last_hidden_state
    if last.ndim == 4:  # channels before places, as of a convolutional network
        return last.mean(dim=(2, 3))
    embeddings = getattr(model, "embeddings", None)
    return last[:, 0] if hasattr(embeddings, "cls_token") else last.mean(dim=1)


class TransformersTexts:
    """A text encoder, pooled as its checkpoint says, else by the mean over the tokens."""

    of: Kind = "text"
    fitted = False

    def __init__(self, name: str, identity: str, network: Any) -> None:
        self.identity, self._name, self._network = identity, name, network

    def embed(self, items: Sequence[str]) -> Vectors:
        """Unit rows, shape (n, d).

        Raises:
            ModelError: The network does not fit into memory.
        """
        with one_thread(), out_of_memory(self._name, LESS):
            vectors = self._network.encode(list(items), show_progress_bar=False)
        return normalized(np.asarray(vectors, dtype=np.float32).reshape(len(items), -1))


def build(name: str) -> Embedder:
    """The embedder of a hub repository or a local folder, on a GPU where there is one.

    Raises:
        InputError: There is no such checkpoint, or it lacks weights.
        MissingExtra: It reads texts, and sentence-transformers is not installed.
        ModelError: It is there but cannot be loaded.
    """
    if not sys.stderr.isatty():
        hf.utils.logging.disable_progress_bar()
    where, source, known = locate(name)
    known = _bytes(Path(where)) if not source else known
    with quiet(), loading(name), out_of_memory(name, LESS):
        processor = _processor(where, source)
        if processor is not None:
            return _images(name, where, source, known, processor)
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra(name, "embed") from error
        only = {"revision": source["revision"]} if source else {}
        network = SentenceTransformer(
            where, local_files_only=source.get("local_files_only", True), **only
        )
    return TransformersTexts(name, f"transformers-text/{VERSION} {known}", network)


def _images(
    name: str, where: str, source: dict[str, Any], known: str, processor: Any
) -> TransformersImages:
    config = hf.AutoConfig.from_pretrained(where, **source)
    if hasattr(config, "mask_ratio"):  # MAE hides most of a picture while it is trained
        config.mask_ratio = 0.0
    device = fastest()
    model, told = hf.AutoModel.from_pretrained(
        where,
        config=config,
        dtype=torch.float32 if device == "cpu" else torch.float16,
        output_loading_info=True,
        **source,
    )
    random = sorted(told["missing_keys"])  # what is not in the checkpoint
    if any("pooler" not in key for key in random):
        lacking = next(key for key in random if "pooler" not in key)
        raise InputError(name, f"has no weights for {lacking}", "choose another checkpoint")
    model.eval().to(device)
    identity = f"transformers/{VERSION} {known}"
    return TransformersImages(name, identity, model, processor, pooled=not random)


def _processor(where: str, source: dict[str, Any]) -> Any | None:
    """What prepares pictures for the network, without torchvision; None for one that reads texts.

    DINOv3 has no such kind of its own: like ViT's it resizes and scales, and nothing else.
    """
    try:
        about, _ = hf.ImageProcessingMixin.get_image_processor_dict(where, **source)
    except OSError:
        return None
    if str(about.get("image_processor_type", "")).startswith("DINOv3"):
        return hf.ViTImageProcessorPil.from_pretrained(where, **source)
    return hf.AutoImageProcessor.from_pretrained(where, backend="pil", **source)


def _bytes(folder: Path) -> str:
    """The digest of a folder's settings and weights: vectors last longer than chats."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".json", ".txt", ".model", ".safetensors", ".bin"):
            with file.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{file.relative_to(folder)}\0{sha256}\0".encode())
    return digest.hexdigest()
