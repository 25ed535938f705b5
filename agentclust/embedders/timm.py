"""Embeddings by the networks of timm: by name from the hub, of a folder, or of a file of weights.

What is embedded is what the network gives its classifier; pictures are prepared as the checkpoint
says. timm imports torchvision.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from agentclust.embedders.encoders import LESS, ImageEncoder, Inside, fingerprint, grid
from agentclust.errors import InputError
from agentclust.networks.devices import at_work
from agentclust.networks.failing import hushed, library, loading, out_of_memory, unknown
from agentclust.networks.listening import attention

VERSION = 1  # rises whenever a vector may change
ELSEWHERE = ("hf-hub:", "local-dir:")


class TimmImages(ImageEncoder):
    """A network of timm without its classifier."""

    def _vectors(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(pixels)
        return found

    def _inside(self, model: Any, pixels: torch.Tensor) -> Inside:
        return inside(model, pixels)


def inside(
    model: Any, pixels: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor] = torch.clone
) -> Inside:
    """How the vectors of a network of timm come about; `head` is what follows the network."""
    with attention(model) as heard:
        last = model.forward_features(pixels)
    if last.ndim == 4 and getattr(model, "output_fmt", "NCHW") == "NHWC":
        last = last.permute(0, 3, 1, 2)  # what is returned must be what vectors are made of
        return Inside(head(model.forward_head(last.permute(0, 2, 3, 1))), last)
    found, layers = head(model.forward_head(last)), tuple(heard)
    size = getattr(getattr(model, "patch_embed", None), "dynamic_feat_size", None)
    if last.ndim == 4 or size is None:
        return Inside(found, last)
    return Inside(found, last, layers, grid(last, layers, *size(tuple(pixels.shape[-2:]))))


def build(name: str) -> TimmImages:
    """The embedder of a network, on a GPU where there is one.

    Args:
        name: ``NAME`` or ``NAME.TAG`` as timm lists it, ``hf-hub:OWNER/NAME``, a folder with
            ``config.json`` and weights as timm saves them, or ``NAME/FILE``: the network of that
            name with the weights of a file.

    Raises:
        InputError: There is no such network or file.
        MissingExtra: timm is not installed.
        ModelError: timm, or the checkpoint, cannot be loaded.
    """
    full = f"timm:{name}"
    timm = library(full, "timm", "timm")
    with loading(full, "timm"), out_of_memory(full, LESS), hushed():
        model = _network(timm, full, name)
        about = timm.data.resolve_model_data_config(model)
        transform = timm.data.create_transform(**about, is_training=False)
        identity = f"timm/{VERSION} {fingerprint(model, about)}"
        return TimmImages(full, identity, at_work(model), transform)


def _network(timm: Any, full: str, name: str) -> Any:
    """The network without its classifier, on the CPU."""
    folder = Path(name).expanduser()
    known, _, file = name.partition("/")
    if name and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(full, "has no config.json", "give a folder that timm has saved")
        name = f"local-dir:{folder}"
    elif not name.startswith(ELSEWHERE):
        if not timm.is_model(known.partition(".")[0]):
            raise unknown(full, "timm", known, timm.list_pretrained())
        if file:
            return _filled(timm, full, known, Path(file).expanduser())
    # with its classifier, as timm overlooks weights that are missing where it is left out
    model = timm.create_model(name, pretrained=True)
    model.reset_classifier(0)
    return model


def _filled(timm: Any, full: str, known: str, file: Path) -> Any:
    """The network of that name with the weights of a file, all of them but a classifier's."""
    if not file.is_file():
        todo = "write timm:NAME, timm:NAME/FILE, timm:FOLDER or timm:hf-hub:OWNER/NAME"
        raise InputError(full, f"there is no file {file}", todo)
    model = timm.create_model(known, num_classes=0)
    told = timm.models.load_checkpoint(model, str(file), strict=False)
    classifiers = model.pretrained_cfg.get("classifier") or ()
    classifiers = [classifiers] if isinstance(classifiers, str) else classifiers
    rest = tuple(f"{classifier}." for classifier in classifiers)
    unused = [key for key in told.unexpected_keys if not key.startswith(rest)]
    if told.missing_keys or unused:
        why = f"holds {unused[0]}, which {known} has not" if unused else ""
        why = f"has no weights for {told.missing_keys[0]}" if told.missing_keys else why
        raise InputError(full, why, "give the weights of this very network")
    return model
