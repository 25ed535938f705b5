"""How an embedder came to a vector: what its network made of the places of a picture.

An embedder that can tell has a method ``trace(path)``. Everything here can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture


@dataclass(frozen=True)
class Features:
    """The trace of a convolutional network.

    Attributes:
        vector: What was embedded, of length 1, shape (d,).
        seen: The part of the picture that the network saw.
        maps: Its last features, which `vector` is made of, shape (1, channels, h, w).
    """

    vector: torch.Tensor
    seen: Box
    maps: torch.Tensor


@dataclass(frozen=True)
class Attentions:
    """The trace of a vision transformer of t tokens, h times w of them patches of the picture.

    Attributes:
        vector: What was embedded, of length 1, shape (d,).
        seen: The part of the picture that the network saw.
        layers: How much each token heeds each, rows summing to 1, one a layer, first layer first:
            shape (1, heads, t, t).
        last: The tokens after the last layer, which `vector` is made of, shape (1, t, width).
        patches: The token of each patch, shape (h, w).
    """

    vector: torch.Tensor
    seen: Box
    layers: tuple[torch.Tensor, ...]
    last: torch.Tensor
    patches: torch.Tensor


Trace = Features | Attentions


def tracer(embedder: Any) -> Callable[[Path], Trace] | None:
    """The method of an embedder that gives traces, None where it has none."""
    found: Callable[[Path], Trace] | None = getattr(embedder, "trace", None)
    return found
