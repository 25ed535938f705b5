"""How an embedder's network is trained further, and how it then embeds.

An embedder of images that can be trained has the two methods of `Trainable`. It knows no clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from agentclust.embedders import Embedder
from agentclust.errors import InputError

Blocks = int | Literal["all"]


@dataclass(frozen=True)
class Network:
    """A network that makes vectors of pictures, in single precision, none of it trained yet.

    Attributes:
        module: Its weights, none of which needs a gradient. It stays as for inference: what
            normalises a batch keeps its statistics, which a few pictures would only spoil.
        pixels: A picture as the network wants it, shape (channels, h, w).
        vectors: Such pictures, shape (m, channels, h, w), to unit rows, shape (m, d); it can be
            differentiated.
    """

    module: torch.nn.Module
    pixels: Callable[[Image.Image], NDArray[np.float32]]
    vectors: Callable[[torch.Tensor], torch.Tensor]


@runtime_checkable
class Trainable(Embedder, Protocol):
    """An embedder of images whose network can be trained further."""

    def network(self) -> Network:
        """A copy of the network, to be trained."""
        ...

    def tuned(self, weights: Mapping[str, torch.Tensor], identity: str) -> Self:
        """This embedder with other weights.

        Args:
            weights: Those that differ, by their names in `Network.module`.
            identity: What tells its vectors from those of others.
        """
        ...


def trainable(name: str, embedder: Any) -> Trainable:
    """The embedder as one that can be trained.

    Raises:
        InputError: It has no network, or does not hand it out.
    """
    if isinstance(embedder, Trainable):
        return embedder
    why = "has no network that can be trained further"
    todo = "leave the setting finetune out, or embed images by efficientnet or transformers:REPO"
    raise InputError(name, why, todo)


def open_last(network: Network, image: Image.Image, blocks: Blocks) -> dict[str, torch.Tensor]:
    """Let the last blocks of a network, and whatever follows them, be trained.

    Blocks are the members of the largest list in a network: the layers of a transformer, the
    stages of a ConvNeXt, the inverted bottlenecks of an EfficientNet. What follows which shows in
    the order in which the parts are called for a picture.

    Args:
        network: Some of its weights need a gradient afterwards.
        image: Any picture.
        blocks: How many, or all of the network.

    Returns:
        The weights that will be trained, by name.

    Raises:
        InputError: It has not as many blocks.
    """
    pixels = torch.from_numpy(network.pixels(image))[None]
    called = _called(network, pixels)
    first = 0
    if blocks != "all":
        listed = _blocks(network.module, called)
        if blocks > len(listed):
            why = f"the network has {len(listed)} blocks"
            raise InputError(f"finetune_blocks={blocks}", why, "take fewer, or all")
        first = called.index(listed[-blocks])
    for part in called[first:]:
        part.requires_grad_()
    network.vectors(pixels).sum().backward()
    found: dict[str, torch.Tensor] = {}
    for name, weight in network.module.named_parameters():
        weight.requires_grad_(weight.grad is not None)  # a pooling, say, that no vector is made of
        weight.grad = None
        if weight.requires_grad:
            found[name] = weight
    return found


def _called(network: Network, pixels: torch.Tensor) -> list[torch.nn.Module]:
    """The parts of a network that a picture goes through, in the order in which they begin."""
    found: dict[torch.nn.Module, None] = {}
    hooks = [
        part.register_forward_pre_hook(lambda part, _: found.setdefault(part))
        for part in network.module.modules()
    ]
    try:
        with torch.no_grad():
            network.vectors(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found)


def _blocks(module: torch.nn.Module, called: Sequence[torch.nn.Module]) -> list[torch.nn.Module]:
    """The members of the largest list of parts that are called, in that order."""
    lists = [[part for part in called if part in set(members)] for members in _lists(module)]
    return max(lists, key=_size, default=[])


def _lists(module: torch.nn.Module) -> Iterator[list[torch.nn.Module]]:
    """The members of the lists in a network that are in no other list."""
    for part in module.children():
        if isinstance(part, torch.nn.ModuleList | torch.nn.Sequential):
            yield list(part)
        else:
            yield from _lists(part)


def _size(parts: Sequence[torch.nn.Module]) -> int:
    return sum(weight.numel() for part in parts for weight in part.parameters())
