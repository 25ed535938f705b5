"""Comparing a finished run with true labels: the only place that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentclust import metrics
from agentclust.agreement import details
from agentclust.datasets.labels import read_labels
from agentclust.journal import read_json, write_json
from agentclust.pages import write_report
from agentclust.record import read_clustering


def evaluate(folder: Path, labels: Path, axis: str | None = None) -> metrics.External:
    """Compare a finished run with true labels, and show the comparison in its report.

    Raises:
        InputError: The run has no result, or the labels do not fit it.
    """
    clustering = read_clustering(folder)
    truth = read_labels(labels, clustering.ids, axis, clustering.files)
    chosen = [i for i, sample_id in enumerate(clustering.ids) if sample_id in truth]
    found = metrics.external(
        [truth[clustering.ids[i]] for i in chosen],
        clustering.labels_[chosen],
        clustering.confidences[chosen],
        clustering.n_clusters,
    )
    write_json(
        folder / "evaluation.json",
        {
            "labels": labels.name,
            "axis": axis,
            "scores": found.summary(),
            "details": details(found.classes, found.counts, clustering.names),
            "classes": found.classes,
            "counts": found.counts.tolist(),
            "matching": {str(row): column for row, column in found.matching.items()},
        },
    )
    write_report(folder)
    return found


def evaluation(folder: Path) -> dict[str, Any]:
    """What the last comparison of a run with true labels found: its scores, and the details.

    Raises:
        InputError: The file of it cannot be read.
    """
    known = read_json(folder / "evaluation.json") or {}
    return {**known.get("scores", {}), **known.get("details", {})}
