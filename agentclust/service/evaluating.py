"""Comparing a finished run with true labels: the only place that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agentclust import metrics
from agentclust.config import ModelConfig
from agentclust.datasets.labels import read_labels
from agentclust.files.journal import read_json, write_json
from agentclust.ictc import embedding
from agentclust.metrics.agreement import details
from agentclust.metrics.probes import probes
from agentclust.pages import write_report
from agentclust.progress import Reporter
from agentclust.run.opening import open_run
from agentclust.run.record import read_clustering
from agentclust.types import Clustering
from agentclust.work import Work
from agentclust.working import Models, asking

NOBODY = ModelConfig(model="none")  # embeddings need no language model


def evaluate(folder: Path, labels: Path, axis: str | None = None) -> metrics.External:
    """Compare a finished run with true labels, and show the comparison in its report.

    Raises:
        InputError: The run has no result, or the labels do not fit it.
    """
    clustering = read_clustering(folder)
    found = _compared(clustering, labels, axis)
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


def _compared(clustering: Clustering, labels: Path, axis: str | None) -> metrics.External:
    truth = read_labels(labels, clustering.ids, axis, clustering.files)
    chosen = np.flatnonzero([sample_id in truth for sample_id in clustering.ids])
    return metrics.external(
        [truth[clustering.ids[i]] for i in chosen],
        clustering.labels_[chosen],
        clustering.confidences[chosen],
        clustering.n_clusters,
    )


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
    with open_run(folder) as run:
        samples = run.samples()
        files = [str(s.file) if s.file else "" for s in samples]
        truth = read_labels(labels, [s.id for s in samples], axis, files)
        config = run.config.model_copy(update={"llm": NOBODY})
        file = None if config.cache else folder / "answers.sqlite"
        reporter = Reporter()
        with asking(config, (), Models(reporter), None, file) as (nobody, _, answers):
            work = Work(run, samples, nobody, None, answers, reporter)
            found = embedding.embed(work, embedding.wanted(work))
    chosen = [i for i, sample in enumerate(found.samples) if sample.id in truth]
    return probes(found.vectors[chosen], [truth[found.samples[i].id] for i in chosen])


def evaluation(folder: Path) -> dict[str, Any]:
    """What the last comparison of a run with true labels found: its scores, and the details.

    Raises:
        InputError: The file of it cannot be read.
    """
    known = read_json(folder / "evaluation.json") or {}
    return {**known.get("scores", {}), **known.get("details", {})}
