"""What image encoders have in common, whichever library they are from: batches, devices, traces."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from agentclust.embedders import Kind, Vectors, normalized
from agentclust.embedders.traces import Attentions, Box, Features, Trace
from agentclust.embedders.trainable import Network
from agentclust.errors import InputError
from agentclust.files.images import read_image
from agentclust.networks.failing import out_of_memory
from agentclust.networks.threads import one_thread

LESS = "a smaller model"


@dataclass(frozen=True)
class Inside:
    """What a network made of one picture.

    Attributes:
        vectors: What it embeds, shape (1, …).
        last: What that is made of: features (1, channels, h, w), or tokens (1, t, width).
        layers: Of tokens, the attention of each layer, shape (1, heads, t, t).
        patches: The token of each patch, shape (h, w); None where they cannot be told.
    """

    vectors: torch.Tensor
    last: torch.Tensor
    layers: tuple[torch.Tensor, ...] = ()
    patches: torch.Tensor | None = None


class ImageEncoder(ABC):
    """What an image encoder makes of the whole picture.

    On the CPU images go through the network one by one, each on one core, several side by side;
    on a GPU in batches, which threads decode meanwhile.
    """

    of: Kind = "image"
    fitted = False
    side_by_side = os.cpu_count() or 1

    def __init__(
        self, name: str, identity: str, model: Any, pixels: Callable[[Image.Image], Any]
    ) -> None:
        self.identity = identity
        self._name, self._model, self._prepare = name, model, pixels
        self._device = next(model.parameters()).device
        self._busy = nullcontext() if self._device.type == "cpu" else threading.Lock()

    @abstractmethod
    def _vectors(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        """What the network embeds, shape (n, …)."""

    @abstractmethod
    def _inside(self, model: Any, pixels: torch.Tensor) -> Inside:
        """The same of one picture, and how it came about."""

    def embed(self, items: Sequence[Path]) -> Vectors:
        """Unit rows, shape (n, d).

        Raises:
            ImageProblem: An image cannot be read.
            ModelError: The network does not fit into memory.
        """
        if not items:
            return np.zeros((0, 0), dtype=np.float32)
        images = [self._pixels(read_image(path)) for path in items]
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
        pixels = torch.from_numpy(self._pixels(image))[None].to(self._device)
        with self._busy, torch.enable_grad(), one_thread(), out_of_memory(self._name, LESS):
            inside = self._inside(self._exact, pixels.requires_grad_())
            vector = functional.normalize(inside.vectors.flatten(1)[0].float(), dim=0)
        seen = self._part(image.size)
        if inside.last.ndim == 4:
            return Features(vector, seen, inside.last)
        if inside.patches is None:
            why = "keeps neither places nor the attention between all of them"
            raise InputError(self._name, why, "embed by a convolutional network or a plain ViT")
        return Attentions(vector, seen, inside.layers, inside.last, inside.patches)

    def network(self) -> Network:
        """A copy to be trained, in single precision."""
        module = copy.deepcopy(self._model).float().requires_grad_(False)

        def vectors(pixels: torch.Tensor) -> torch.Tensor:
            return functional.normalize(self._vectors(module, pixels.to(self._device)).flatten(1))

        return Network(module, self._pixels, vectors)

    def tuned(self, weights: Mapping[str, torch.Tensor], identity: str) -> Self:
        """This embedder with other weights."""
        other = copy.copy(self)
        other.__dict__.pop("_exact", None)  # of the weights before
        other._model, other.identity = copy.deepcopy(self._model), identity
        other._model.load_state_dict(weights, strict=False)
        return other

    @cached_property
    def _exact(self) -> Any:
        """The network in full precision: half of it, as on a GPU, loses small derivatives."""
        exact = next(self._model.parameters()).dtype == torch.float32
        return self._model if exact else copy.deepcopy(self._model).float()

    def _part(self, size: tuple[int, int]) -> Box:
        """The part of a picture of that size that is left of it when it is prepared.

        What happens to a picture whose colours tell the place of each pixel shows it; what black
        and white become tells how colours are scaled.
        """
        width, height = size
        places = np.zeros((height, width, 3), dtype=np.uint8)
        places[..., 0] = np.linspace(0, 255, width).round()
        places[..., 1] = np.linspace(0, 255, height).round()[:, None]
        black, white = (self._pixels(Image.new("RGB", (64, 64), c)) for c in ("black", "white"))
        middle = (slice(None), black.shape[1] // 2, black.shape[2] // 2)
        low, high = (scale[middle][:, None, None] for scale in (black, white))
        across, down, _ = (self._pixels(Image.fromarray(places)) - low) / (high - low)
        (left, right), (top, bottom) = _ends(across.mean(axis=0)), _ends(down.mean(axis=1))
        return left, top, right, bottom

    def _pixels(self, image: Image.Image) -> NDArray[np.float32]:
        """A picture as the network wants it, shape (channels, h, w)."""
        return np.asarray(self._prepare(image), dtype=np.float32)

    def _seen(self, pixels: torch.Tensor) -> NDArray[np.float32]:
        model = self._model
        found = self._vectors(model, pixels.to(self._device, next(model.parameters()).dtype))
        return np.asarray(found.flatten(1).float().cpu().numpy(), dtype=np.float32)


def _ends(places: NDArray[np.float32]) -> tuple[float, float]:
    """Where the first pixel begins and the last one ends, of pixels whose middles are there."""
    first, last = float(places[0]), float(places[-1])
    half = (last - first) / max(len(places) - 1, 1) / 2
    return max(0.0, first - half), min(1.0, last + half)


def grid(
    last: torch.Tensor, layers: tuple[torch.Tensor, ...], high: int, wide: int
) -> torch.Tensor | None:
    """The token of each of high times wide patches, which stand last; None where others do.

    Before them stand the class token and registers. Attention must be between all tokens.
    """
    tokens = last.shape[1]
    before = tokens - high * wide
    if not layers or before < 0 or any(a.shape[-2:] != (tokens, tokens) for a in layers):
        return None
    return before + torch.arange(high * wide).reshape(high, wide)


def fingerprint(model: nn.Module, about: Mapping[str, Any]) -> str:
    """The digest of what decides the vectors of a network: its parts, weights and pictures.

    Args:
        model: On the CPU, in the precision it was loaded in.
        about: How pictures are prepared.
    """
    digest = hashlib.sha256(f"{model}\0{json.dumps(about, sort_keys=True)}".encode())
    for name, weights in model.state_dict().items():
        digest.update(f"\0{name}\0{weights.dtype}\0{tuple(weights.shape)}\0".encode())
        digest.update(weights.reshape(-1).view(torch.uint8).numpy())
    return f"sha256:{digest.hexdigest()}"
