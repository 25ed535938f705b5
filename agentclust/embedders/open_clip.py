"""Embeddings by the image side of the networks of open_clip, as they are compared with texts.

By architecture and weights, from the hub, or of a folder. open_clip imports torchvision.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from agentclust.embedders import timm
from agentclust.embedders.encoders import LESS, ImageEncoder, Inside, fingerprint, grid
from agentclust.errors import InputError
from agentclust.networks.devices import at_work
from agentclust.networks.failing import hushed, library, loading, out_of_memory, unknown
from agentclust.networks.listening import answers, attention

VERSION = 1  # rises whenever a vector may change


class OpenClipImages(ImageEncoder):
    """The image side of a network of open_clip."""

    def _vectors(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        found = model(pixels)
        vectors: torch.Tensor = found[0] if isinstance(found, tuple) else found  # CoCa adds tokens
        return vectors

    def _inside(self, model: Any, pixels: torch.Tensor) -> Inside:
        if hasattr(model, "trunk"):
            return timm.inside(model.trunk, pixels, model.head)
        layers = getattr(model, "transformer", None)
        if layers is None:  # a residual network
            with answers(model.layer4) as last:
                return Inside(self._vectors(model, pixels), last[0])
        with attention(layers) as heard, answers(layers) as last:
            found = self._vectors(model, pixels)
        patches = grid(last[0], tuple(heard), *model.grid_size)
        return Inside(found, last[0], tuple(heard), patches)


def build(name: str) -> OpenClipImages:
    """The embedder of a network, on a GPU where there is one.

    Args:
        name: ``ARCHITECTURE/TAG`` as open_clip lists them, ``ARCHITECTURE/FILE`` with the weights
            of a file, ``hf-hub:OWNER/NAME``, or a folder with ``open_clip_config.json``.

    Raises:
        InputError: There is no such network, or there are no such weights.
        MissingExtra: open_clip is not installed.
        ModelError: open_clip, or the checkpoint, cannot be loaded.
    """
    full = f"open_clip:{name}"
    open_clip = library(full, "open_clip", "open-clip")
    with loading(full, "open_clip"), out_of_memory(full, LESS), hushed(), _unheard():
        model, transform = open_clip.create_model_from_pretrained(**_named(open_clip, full, name))
        visual = model.visual
        identity = f"open_clip/{VERSION} {fingerprint(visual, visual.preprocess_cfg)}"
        return OpenClipImages(full, identity, at_work(visual), transform)


def _named(open_clip: Any, full: str, name: str) -> dict[str, Any]:
    """How to ask open_clip for the network with its weights."""
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return {"model_name": f"local-dir:{folder}"}
    if name.startswith(timm.ELSEWHERE):
        return {"model_name": name}
    known, _, weights = name.partition("/")
    if open_clip.get_model_config(known) is None:
        raise unknown(full, "open_clip", known, open_clip.list_models())
    file, tags = Path(weights).expanduser(), open_clip.list_pretrained_tags_by_model(known)
    if weights and file.is_file():
        return {"model_name": known, "pretrained": str(file)}
    if weights not in tags:
        why = f"there are no weights {weights!r}" if weights else "names no weights"
        todo = f"write open_clip:{known}/FILE or one of these for FILE: {', '.join(tags)}"
        raise InputError(full, why, todo)
    # weights that learned with QuickGELU need it; asked without, open_clip but warns
    quick = bool(open_clip.get_pretrained_cfg(known, weights).get("quick_gelu"))
    return {"model_name": known, "pretrained": weights, "force_quick_gelu": quick}


@contextmanager
def _unheard() -> Iterator[None]:
    """open_clip speaks to the root logger, which thereby gets a handler that prints."""
    root, nobody = logging.getLogger(), logging.NullHandler()
    root.addHandler(nobody)
    try:
        yield
    finally:
        root.removeHandler(nobody)
