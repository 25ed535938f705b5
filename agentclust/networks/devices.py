"""Where PyTorch computes what is worth the way there."""

from __future__ import annotations

from typing import Any

import torch


def fastest() -> str:
    """``"cuda"`` where there is a GPU that works, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def at_work(network: Any) -> Any:
    """A network ready to infer, there: on a GPU in half precision."""
    device = fastest()
    return network.eval().to(device, torch.float32 if device == "cpu" else torch.float16)
