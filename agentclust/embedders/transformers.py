"""Embeddings by any encoder that transformers knows: a repository of the hub, or a folder.

CLIP, SigLIP, DINOv2 and DINOv3, ConvNeXt, MAE, MSN and other image encoders; text encoders, BERT
and its like, through sentence-transformers, which reads how their vectors are pooled.
"""

from __future__ import annotations

import copy
import hashlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from agentclust.embedders import Embedder, Kind, Vectors, normalized
from agentclust.embedders.traces import Attentions, Box, Features, Trace
from agentclust.errors import InputError, MissingExtra
from agentclust.files.images import read_image
from agentclust.networks.checkpoints import hf, loading, locate, out_of_memory, quiet
from agentclust.networks.devices import fastest
from agentclust.networks.threads import one_thread

VERSION = 1  # rises whenever a vector may change
LESS = "a smaller model"


class TransformersImages:
    """What an image encoder makes of the whole picture.

    That is, of CLIP and SigLIP, the vector that is compared with texts; of others the pooled
    output where its weights are there, else the class token, else the mean over the places.

    On the CPU images go through the network one by one, each on one core, several side by side;
    on a GPU in batches, which threads decode meanwhile.
    """

    of: Kind = "image"
    fitted = False
    side_by_side = os.cpu_count() or 1

    def __init__(self, name: str, identity: str, model: Any, processor: Any, pooled: bool) -> None:
        self.identity = identity
        self._name, self._model, self._processor, self._pooled = name, model, processor, pooled
        self._device = model.device
        self._busy = nullcontext() if self._device.type == "cpu" else threading.Lock()

    def embed(self, items: Sequence[Path]) -> Vectors:
        """Unit rows, shape (n, d).

        Raises:
            ImageProblem: An image cannot be read.
            ModelError: The network does not fit into memory.
        """
        if not items:
            return np.zeros((0, 0), dtype=np.float32)
        images = [self._prepared(path) for path in items]
        batches = [images] if self._device.type != "cpu" else [[image] for image in images]
        with (
            self._busy,
            torch.inference_mode(),
            one_thread(),
            out_of_memory(self._name, LESS),
        ):
            found = [self._seen(torch.from_numpy(np.stack(batch))) for batch in batches]
        return normalized(np.concatenate(found))

    def trace(self, item: Path) -> Trace:
        """How the vector of an image comes about.

        Raises:
            ImageProblem: The image cannot be read.
            InputError: The network keeps neither places nor the attention between all of them.
            ModelError: It does not fit into memory.
        """
        image = read_image(item)
        pixels = torch.from_numpy(self._pixels(image))[None]
        with self._busy, torch.enable_grad(), one_thread(), out_of_memory(self._name, LESS):
            model = self._exact
            with _telling(model):
                out, found = self._output(model, pixels.requires_grad_(), output_attentions=True)
            vector = functional.normalize(found.flatten(1)[0].float(), dim=0)
        seen = self._part(image.size)
        if out.last_hidden_state.ndim == 4:
            return Features(vector, seen, out.last_hidden_state)
        layers = tuple(out.get("attentions") or ())
        patches = _patches(model, out, layers, pixels.shape)
        if patches is None:
            why = "keeps neither places nor the attention between all of them"
            raise InputError(self._name, why, "embed by a convolutional network or a plain ViT")
        return Attentions(vector, seen, layers, out.last_hidden_state, patches)

    @cached_property
    def _exact(self) -> Any:
        """The network in full precision: half of it, as on a GPU, loses small derivatives."""
        exact = self._model.dtype == torch.float32
        return self._model if exact else copy.deepcopy(self._model).float()

    def _part(self, size: tuple[int, int]) -> Box:
        """The part of a picture of that size that is left of it when it is prepared.

        What happens to a picture whose colours tell the place of each pixel shows it.
        """
        width, height = size
        places = np.zeros((height, width, 3), dtype=np.uint8)
        places[..., 0] = np.linspace(0, 255, width).round()
        places[..., 1] = np.linspace(0, 255, height).round()[:, None]
        plain = {"do_rescale": False, "do_normalize": False}
        across, down, _ = self._pixels(Image.fromarray(places), **plain) / 255
        (left, right), (top, bottom) = _ends(across.mean(axis=0)), _ends(down.mean(axis=1))
        return left, top, right, bottom

    def _prepared(self, path: Path) -> NDArray[np.float32]:
        return self._pixels(read_image(path))

    def _pixels(self, image: Image.Image, **how: Any) -> NDArray[np.float32]:
        values = self._processor(images=image, return_tensors="np", **how)["pixel_values"]
        return np.asarray(values[0], dtype=np.float32)

    def _seen(self, pixels: torch.Tensor) -> NDArray[np.float32]:
        _, found = self._output(self._model, pixels)
        return np.asarray(found.flatten(1).float().cpu().numpy(), dtype=np.float32)

    def _output(self, model: Any, pixels: torch.Tensor, **how: Any) -> tuple[Any, torch.Tensor]:
        """What the network says of prepared images, and the vectors in it."""
        pixels = pixels.to(self._device, model.dtype)
        if hasattr(model, "get_image_features"):
            out = model.get_image_features(pixel_values=pixels, **how)
            return out, out.pooler_output
        out = model(pixel_values=pixels, **how)
        found = getattr(out, "pooler_output", None) if self._pooled else None
        return out, _whole(model, out) if found is None else found


def _ends(places: NDArray[np.float32]) -> tuple[float, float]:
    """Where the first pixel begins and the last one ends, of pixels whose middles are there."""
    first, last = float(places[0]), float(places[-1])
    half = (last - first) / max(len(places) - 1, 1) / 2
    return max(0.0, first - half), min(1.0, last + half)


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
    tokens = out.last_hidden_state.shape[1]
    if not isinstance(edge, int) or any(a.shape[-2:] != (tokens, tokens) for a in layers):
        return None
    high, wide = shape[-2] // edge, shape[-1] // edge
    before = tokens - high * wide  # the class token, and registers
    if not layers or before < 0:
        return None
    order = out.get("ids_restore")  # MAE shuffles its patches
    order = torch.arange(high * wide) if order is None else order[0].cpu()
    found: torch.Tensor = (before + order).reshape(high, wide)
    return found


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
