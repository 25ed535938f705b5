"""Comparisons of a run with true labels, one an axis, as ``evaluation.json`` keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agentclust import report
from agentclust.errors import InputError
from agentclust.files.journal import read_json, write_json
from agentclust.types import Clustering

FILE = "evaluation.json"

Evaluation = Mapping[str, Any]


def keep(folder: Path, clustering: Clustering, found: Evaluation) -> None:
    """Add a comparison with one axis to those of the others; it replaces the one of that axis.

    Args:
        folder: The run.
        clustering: Its result, which was compared.
        found: The ``axis``, and what a reader wants to know of it.

    Raises:
        InputError: The file of them is damaged.
        RunError: It cannot be written.
    """
    others = [one for one in kept(folder, clustering) if one["axis"] != found["axis"]]
    write_json(folder / FILE, {"axes": [*others, {**found, "result": _digest(clustering)}]})


def kept(folder: Path, clustering: Clustering) -> list[Evaluation]:
    """The comparisons of the result as it stands, the latest last; not those before an edit.

    Raises:
        InputError: The file of them is damaged.
    """
    found = read_json(folder / FILE)
    if found is None:
        return []
    width, now = clustering.n_clusters + 1, _digest(clustering)
    try:
        each = found.get("axes", [found])  # an earlier agentclust kept the last one alone
        return [
            one
            for one in each
            if one.get("result", now) == now and all(len(row) == width for row in one["counts"])
        ]
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            folder / FILE, "holds no comparisons", "remove it, and evaluate again"
        ) from None


def agreement(found: Evaluation) -> report.Agreement:
    """A comparison as a report shows it."""
    return report.Agreement(
        scores=found["scores"],
        classes=tuple(found["classes"]),
        counts=np.array(found["counts"], dtype=np.int64),
        matching={int(row): column for row, column in found["matching"].items()},
        axis=found["axis"] or "",
    )


def _digest(clustering: Clustering) -> str:
    """What tells results of one run apart: where each sample is."""
    return hashlib.sha256(np.ascontiguousarray(clustering.labels_).data).hexdigest()
