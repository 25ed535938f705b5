"""Comparing a finished run with true labels: the only place that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agentclust import metrics
from agentclust.datasets.labels import read_labels
from agentclust.journal import write_json
from agentclust.pages import write_report
from agentclust.record import read_clustering


def evaluate(folder: Path, labels: Path, axis: str | None = None) -> metrics.External:
    """Compare a finished run with true labels, and show the comparison in its report.

    Raises:
        InputError: The run has no result, or the labels do not fit it.
    """
    found = _compared(folder, labels, axis)
    write_json(
        folder / "evaluation.json",
        {
            "labels": labels.name,
            "axis": axis,
            "scores": found.summary(),
            "classes": found.classes,
            "counts": found.counts.tolist(),
            "matching": {str(row): column for row, column in found.matching.items()},
        },
    )
    write_report(folder)
    return found


def _compared(folder: Path, labels: Path, axis: str | None) -> metrics.External:
    clustering = read_clustering(folder)
    truth = read_labels(labels, clustering.ids, axis, clustering.files)
    chosen = np.flatnonzero([sample_id in truth for sample_id in clustering.ids])
    return metrics.external(
        [truth[clustering.ids[i]] for i in chosen],
        clustering.labels_[chosen],
        clustering.confidences[chosen],
        clustering.n_clusters,
    )
