"""Embedders whose network was trained further: another embedder, and the weights that changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentclust.embedders import Embedder, load_embedder
from agentclust.errors import InputError
from agentclust.files.arrays import read_arrays, write_arrays

if TYPE_CHECKING:
    import torch

FORMAT = 1
FILE = "tuned.npz"  # of an attempt: the network that it ended with
FAMILY = "tuned"  # what `agentclust.embedders.load_embedder` knows such a file by


def named(file: Path) -> str:
    """The name of the embedder that such a file makes."""
    return f"{FAMILY}:{file}"


def save(file: Path, name: str, identity: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Write weights, without pickle.

    Args:
        file: Where to.
        name: The embedder whose network was trained.
        identity: What it was before.
        weights: Those that were trained, by name.

    Raises:
        DiskError: The file cannot be written.
    """
    arrays = {name: weight.detach().cpu().numpy() for name, weight in weights.items()}
    write_arrays(file, {"format": FORMAT, "embedder": name, "identity": identity}, arrays)


def build(file: str) -> Embedder:
    """The embedder of a file, wherever it lies.

    Raises:
        InputError: There is no such file, it is damaged, or of an embedder that is not here.
        MissingExtra: That embedder needs an optional dependency that is not installed.
        ModelError: Its weights cannot be read.
    """
    # PyTorch takes a while to import
    import torch

    from agentclust.embedders.trainable import trainable

    about, arrays = read_arrays(Path(file))
    if about.get("format") != FORMAT or "embedder" not in about:
        todo = "give the tuned.npz of a run with the setting finetune"
        raise InputError(file, "holds no network that was trained further", todo)
    name = about["embedder"]
    base = trainable(name, load_embedder(name, "image"))
    if base.identity != about["identity"]:
        why = f"was trained from another version of {name} ({about['identity']})"
        raise InputError(file, why, "install that version, or run again")
    digest = hashlib.sha256()
    for weight, values in sorted(arrays.items()):
        digest.update(weight.encode() + values.tobytes())
    weights = {weight: torch.from_numpy(values) for weight, values in arrays.items()}
    return base.tuned(weights, f"{base.identity} tuned:{digest.hexdigest()}")
