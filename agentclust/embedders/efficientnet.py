"""Image embeddings: what EfficientNet-Lite0 sees before it decides on an ImageNet class."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from agentclust.embedders import Kind, Vectors, normalized
from agentclust.embedders.traces import Features
from agentclust.embedders.trainable import Network
from agentclust.files.images import read_image
from agentclust.networks.devices import fastest
from agentclust.networks.efficientnet import central, load_network, prepared
from agentclust.networks.threads import one_thread

VERSION = 2  # rises whenever a vector may change
WIDTH = 1280
EDGE = 512  # longest side that is decoded, pixels; the network sees less


class EfficientNetLite0:
    """1280 numbers for each image: the last features, averaged over the picture.

    Images go through the network one by one, each on one core, several side by side: what lies
    between its layers then fits the core's cache, and cores do not wait for each other.
    """

    of: Kind = "image"
    fitted = False
    side_by_side = os.cpu_count() or 1

    def __init__(self, network: Any, weights_sha256: str) -> None:
        self._network: Any = _folded(network.to(memory_format=torch.channels_last))
        self.identity = f"efficientnet/{VERSION} efficientnet-lite0 sha256:{weights_sha256}"

    def embed(self, items: Sequence[Path]) -> Vectors:
        """Unit rows, shape (n, 1280).

        Raises:
            ImageProblem: An image cannot be read.
        """
        vectors = np.empty((len(items), WIDTH), dtype=np.float32)
        with torch.inference_mode(), one_thread():
            for row, path in zip(vectors, items, strict=True):
                row[:] = self._features(read_image(path, EDGE)).mean(dim=(2, 3))[0].numpy()
        return normalized(vectors)

    def trace(self, item: Path) -> Features:
        """How the vector of an image comes about; the features are 7 by 7.

        Raises:
            ImageProblem: The image cannot be read.
        """
        image = read_image(item, EDGE)
        with torch.no_grad(), one_thread():
            maps = self._features(image)
        vector = functional.normalize(maps.requires_grad_().mean(dim=(2, 3))[0], dim=0)
        left, top, right, bottom = central(*image.size)
        width, height = image.size
        return Features(vector, (left / width, top / height, right / width, bottom / height), maps)

    def network(self) -> Network:
        """A copy to be trained; the norms stay part of the convolutions, and so as they are."""
        module: Any = copy.deepcopy(self._network).requires_grad_(False).to(fastest())

        def vectors(pixels: torch.Tensor) -> torch.Tensor:
            seen = pixels.to(fastest(), memory_format=torch.channels_last)
            return functional.normalize(module.extract_features(seen).mean(dim=(2, 3)))

        return Network(module, lambda image: prepared(image)[0].numpy(), vectors)

    def tuned(self, weights: Mapping[str, torch.Tensor], identity: str) -> Self:
        """This embedder with other weights."""
        other = copy.copy(self)
        other._network, other.identity = copy.deepcopy(self._network), identity
        other._network.load_state_dict(weights, strict=False)
        return other

    def _features(self, image: Image.Image) -> torch.Tensor:
        seen = prepared(image).contiguous(memory_format=torch.channels_last)
        found: torch.Tensor = self._network.extract_features(seen)
        return found


def _folded(module: nn.Module) -> nn.Module:
    """The network with each batch normalisation made part of the convolution before it."""
    children = list(module.named_children())
    for (name, conv), (after, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(conv, norm))
            setattr(module, after, nn.Identity())
    for _, child in children:
        _folded(child)
    return module


def build() -> EfficientNetLite0:
    """The embedder, its network loaded.

    Raises:
        ModelError: The weights cannot be read.
    """
    return EfficientNetLite0(*load_network())
