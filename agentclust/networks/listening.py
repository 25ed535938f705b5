"""Listening to a network while it computes: its attention, which fast ways to compute lose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional


@contextmanager
def attention(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """The attention of the layers of PyTorch's and of timm's kind, in the order they compute.

    Yields:
        A list that fills while the network computes, of shape (n, heads, t, t) each. What the
        network returns can be differentiated by them.
    """
    found: list[torch.Tensor] = []

    def keep(module: nn.Module, given: Any, weights: torch.Tensor) -> None:
        found.append(weights)

    def attend(module: Any, given: tuple[Any, ...], told: Any) -> tuple[torch.Tensor, None]:
        answer, weights = _attended(module, given[0])
        found.append(weights)
        return answer, None

    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.MultiheadAttention):
                stack.enter_context(_hooked(module, attend))
            elif hasattr(module, "fused_attn") and hasattr(module, "attn_drop"):
                stack.callback(setattr, module, "fused_attn", module.fused_attn)
                setattr(module, "fused_attn", False)  # noqa: B010 (mypy: no tensor)
                stack.enter_context(_hooked(module.attn_drop, keep))
        yield found


@contextmanager
def _hooked(module: Any, hook: Any) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _attended(layer: Any, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a layer of PyTorch makes of tokens that heed each other, and how much they do.

    The weights that the layer itself returns are copies: nothing depends on them.
    """
    x = tokens if layer.batch_first else tokens.transpose(0, 1)
    mixed = functional.linear(x, layer.in_proj_weight, layer.in_proj_bias)
    split = mixed.unflatten(-1, (3, layer.num_heads, layer.head_dim))
    query, key, value = split.permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) / layer.head_dim**0.5).softmax(dim=-1)
    found = layer.out_proj((weights @ value).transpose(1, 2).flatten(2))
    return found if layer.batch_first else found.transpose(0, 1), weights


@contextmanager
def answers(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """What a part of a network answers, each time it is asked."""
    found: list[torch.Tensor] = []
    with _hooked(module, lambda part, given, answer: found.append(answer)):
        yield found
