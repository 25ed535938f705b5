"""Comparing a finished run with true labels: the only place that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust import metrics
from agentclust.datasets.labels import axis_of, read_labels
from agentclust.errors import InputError
from agentclust.files.blocks import blocks
from agentclust.ictc import embedding
from agentclust.metrics.agreement import details
from agentclust.metrics.probes import probes
from agentclust.pages import Point, evaluations, write_report
from agentclust.plugins import unknown
from agentclust.progress import Reporter
from agentclust.run.record import read_clustering, read_samples
from agentclust.service import curving
from agentclust.service.reporting import unasked
from agentclust.types import Clustering


def evaluate(
    folder: Path,
    labels: Path,
    axis: str | None = None,
    *,
    curves: bool = False,
    around: str | None = None,
) -> metrics.External:
    """Compare a finished run with true labels, and show the comparison in its report.

    The report shows one comparison an axis, the latest of each; those of a result that was changed
    since are forgotten.

    Args:
        folder: The run.
        labels: The file of true labels.
        axis: Its column; may be left out where there is only one.
        curves: Whether to add the scores over the number of candidates, the surest samples first
            (curves.csv); those of a comparison before are forgotten.
        around: A sample whose nearest neighbours are candidates, too.

    Raises:
        InputError: The run has no result, the labels do not fit it, there is no such sample, or
            the embedder cannot be used.
        RunError: Another process works on the run, and neighbours are asked for.
    """
    clustering = read_clustering(folder)
    axis = axis_of(labels, axis)
    truth = read_labels(labels, clustering.ids, axis, clustering.files)
    found = _compared(clustering, truth)
    drawn = _curves(folder, clustering, truth, around) if curves or around is not None else []
    evaluations.keep(
        folder,
        clustering,
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
    curving.write(folder, drawn)
    del clustering, truth  # of very many samples, what the report reads comes in their place
    write_report(folder)
    return found


def _compared(clustering: Clustering, truth: Mapping[str, str]) -> metrics.External:
    chosen = np.flatnonzero([sample_id in truth for sample_id in clustering.ids])
    return metrics.external(
        [truth[clustering.ids[i]] for i in chosen],
        clustering.labels_[chosen],
        clustering.confidences[chosen],
        clustering.n_clusters,
    )


def _curves(
    folder: Path, clustering: Clustering, truth: Mapping[str, str], around: str | None
) -> list[Point]:
    """Scores over the number of candidates, which are the samples with a true label."""
    known = np.array([sample_id in truth for sample_id in clustering.ids])
    orders = {"confidence": np.argsort(-clustering.confidences, kind="stable")}
    if around is not None:
        orders[f"near {around}"] = _neighbours(folder, clustering.ids, around)
    likely = curving.likeliest(folder, clustering)
    labels = [truth.get(sample_id, "") for sample_id in clustering.ids]
    return [
        point
        for name, order in orders.items()
        for point in curving.points(name, order[known[order]], labels, clustering.labels_, likely)
    ]


def _neighbours(folder: Path, ids: Sequence[str], around: str) -> NDArray[np.int64]:
    """The indices of the other samples, the one most like `around` first."""
    if around not in ids:
        raise unknown("sample", around, ids)
    found = _embedded(folder)
    index = {sample_id: i for i, sample_id in enumerate(ids)}
    places = np.array([index[sample.id] for sample in found.samples])
    own = np.flatnonzero(places == index[around])
    if not len(own):
        raise InputError(around, "could not be embedded", "choose another sample")
    alike = np.concatenate([rows @ found.vectors[own[0]] for _, rows in blocks(found.vectors)])
    order = places[np.argsort(-alike, kind="stable")]
    return np.asarray(order[order != index[around]])


def probe(folder: Path, labels: Path, axis: str | None = None) -> dict[str, float]:
    """What classifiers that learn the true labels make of a run's samples: an upper bound.

    They see the embeddings that ``--method kmeans`` and the like cluster, those of captions as
    they are and not focused on the criterion. The run is left as it is.

    Returns:
        As `agentclust.metrics.probes.probes`.

    Raises:
        InputError: The labels do not fit the run or teach nothing, or the embedder cannot be used.
        RunError: Another process works on the run.
    """
    samples = read_samples(folder)
    files = [str(s.file) if s.file else "" for s in samples]
    truth = read_labels(labels, [s.id for s in samples], axis, files)
    found = _embedded(folder)
    chosen = [i for i, sample in enumerate(found.samples) if sample.id in truth]
    return probes(found.vectors[chosen], [truth[found.samples[i].id] for i in chosen])


def _embedded(folder: Path) -> embedding.Embedded:
    """The vectors of a run's samples, those of captions as they are; the run is left as it is."""
    with unasked(folder, Reporter()) as work:
        return embedding.embed(work, embedding.wanted(work), embedding.tuned(work))


def evaluation(folder: Path) -> dict[str, Any]:
    """What the last comparison of a run with true labels found: its scores, and the details.

    Raises:
        InputError: The file of it cannot be read, or the run has no result.
    """
    known = evaluations.kept(folder, read_clustering(folder))
    return {**known[-1]["scores"], **known[-1].get("details", {})} if known else {}
