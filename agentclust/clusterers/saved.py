"""A fitted clusterer in a file, without pickle: what predicting takes, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agentclust import plugins
from agentclust.errors import InputError
from agentclust.files.arrays import read_arrays, write_arrays

FORMAT = 1
PASSING = ("checkpoint", "progress")  # arguments that mean nothing once it is fitted


def can_be_saved(model: Any) -> bool:
    """Whether the clusterer says which of its attributes predicting takes."""
    return hasattr(model, "kept")


def save(model: Any, name: str, file: Path, **about: Any) -> None:
    """Write a fitted clusterer.

    Args:
        model: One with ``kept``, the names of the arrays that predicting takes.
        name: What `agentclust.clusterers.load_clusterer` knows it by.
        file: Where to.
        **about: What else belongs to it, such as which embedder made its vectors.

    Raises:
        DiskError: The file cannot be written.
    """
    settings = {word: v for word, v in model.get_params().items() if word not in PASSING}
    known = {"format": FORMAT, "clusterer": name, "settings": settings, **about}
    arrays = {attribute: np.asarray(getattr(model, attribute)) for attribute in model.kept}
    write_arrays(file, known | {"width": int(model.n_features_in_)}, arrays)


def load(file: Path) -> tuple[Any, dict[str, Any]]:
    """A clusterer that can predict, and what was written with it.

    Raises:
        InputError: The file is not there, damaged, or of a clusterer that nobody knows.
        MissingExtra: The clusterer needs an optional dependency that is not installed.
    """
    about, arrays = read_arrays(file)
    name = str(about.get("clusterer"))
    if about.get("format") != FORMAT or name not in plugins.names("clusterers"):
        why = f"holds no clusterer known here (format {about.get('format')}, {name})"
        raise InputError(file, why, "fit again")
    model = plugins.find("clusterers", name)(**about["settings"])
    missing = set(model.kept) - set(arrays)
    if missing:
        raise InputError(file, f"lacks {', '.join(sorted(missing))}", "fit again")
    for attribute in model.kept:
        setattr(model, attribute, arrays[attribute])
    model.n_features_in_ = about["width"]
    return model, about
