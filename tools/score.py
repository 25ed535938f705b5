"""The tool that scores the clustering without true labels."""

from __future__ import annotations

import numpy as np

from agentclust import metrics
from agentclust.work import Work


def score(work: Work) -> str:
    """Judge the clustering by internal scores: unassigned, unsure, balance, largest cluster."""
    names = work.run.read("clusters.json")["names"]
    rows = work.run.step_rows("assignments").known
    labels = np.array([rows[s.id]["cluster"] for s in work.samples], dtype=np.int64)
    confidences = np.array([rows[s.id]["confidence"] for s in work.samples])
    scores = metrics.internal(labels, confidences, len(names))
    work.run.write("scores.json", scores)
    return ", ".join(f"{name} {value:.3g}" for name, value in scores.items())
