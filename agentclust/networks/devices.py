"""Where PyTorch computes what is worth the way there."""

from __future__ import annotations

import torch


def fastest() -> str:
    """``"cuda"`` where there is a GPU that works, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
