"""Image embeddings: what EfficientNet-Lite0 sees before it decides on an ImageNet class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agentclust.efficientnet import load_network, prepared
from agentclust.embedders import Kind, Vectors, normalized
from agentclust.images import read_image
from agentclust.threads import one_thread

VERSION = 1  # rises whenever a vector may change
WIDTH = 1280
EDGE = 512  # longest side that is decoded, pixels; the network sees less


class EfficientNetLite0:
    """1280 numbers for each image: the last features, averaged over the picture."""

    of: Kind = "image"
    fitted = False

    def __init__(self, network: Any, weights_sha256: str) -> None:
        self._network = network
        self.identity = f"efficientnet/{VERSION} efficientnet-lite0 sha256:{weights_sha256}"

    def embed(self, items: Sequence[Path]) -> Vectors:
        """Unit rows, shape (n, 1280).

        Raises:
            ImageProblem: An image cannot be read.
        """
        vectors = np.empty((len(items), WIDTH), dtype=np.float32)
        with torch.inference_mode(), one_thread():
            for row, path in zip(vectors, items, strict=True):
                features = self._network.extract_features(prepared(read_image(path, EDGE)))
                row[:] = features.mean(dim=(2, 3))[0].numpy()
        return normalized(vectors)


def build() -> EfficientNetLite0:
    """The embedder, its network loaded.

    Raises:
        ModelError: The weights cannot be read.
    """
    return EfficientNetLite0(*load_network())
