"""Scores over the number of candidates: of the surest samples, or of those around one image.

As the public demonstration "Clustering of Images using SCAN with Visual Explanations" draws them
for 50, 100, … 1000 neighbours of a query image: the clusters are as they are, and each point scores
so many candidates by themselves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agentclust import metrics
from agentclust.files.journal import write_whole
from agentclust.ictc.likely import LIKELIEST
from agentclust.pages import CURVES, Point
from agentclust.run.record import read_rows
from agentclust.types import Clustering

STEP, MOST = 50, 1000  # candidates: 50, 100, … 1000, and all there are


def points(
    order: str,
    candidates: NDArray[np.int64],
    truth: Sequence[str],
    labels: NDArray[np.int64],
    likely: NDArray[np.integer] | None,
) -> Iterator[Point]:
    """The scores of the first 50, 100, … 1000 candidates, and of all.

    Top-5 is the share of the candidates whose true class is matched to one of their five likeliest
    clusters: their own, and the four that come next by what the run knows. Classes are matched to
    clusters one to one, as for the ACC of the same candidates. A sample of which only its own
    cluster is known counts by that alone, so that top-5 is at least ACC.

    Args:
        order: What they are ordered by.
        candidates: Their indices, the first first, shape (m,).
        truth: The true class of each sample, shape (n,).
        labels: The cluster of each sample, shape (n,).
        likely: The likeliest clusters of each sample, -1 for none, shape (n, 5); None where no
            order of them is known.
    """
    known = len(candidates)
    for n in sorted({*range(STEP, min(MOST, known) + 1, STEP), known} - {0}):
        some = candidates[:n]
        own = [truth[i] for i in some]
        found = metrics.external(own, labels[some])
        top5 = None
        if likely is not None:
            partner = {found.classes[row]: column for row, column in found.matching.items()}
            right = [partner.get(name, -2) in likely[i] for name, i in zip(own, some, strict=True)]
            top5 = float(np.mean(right))
        yield Point(order, n, found.acc, found.nmi, found.ari, top5)


def likeliest(folder: Path, clustering: Clustering) -> NDArray[np.integer] | None:
    """The five likeliest clusters of each sample, its own first, -1 for none, shape (n, 5).

    What comes next is by the clusterer's probabilities, or the cosines with the means of its
    clusters; by the votes of the clusterings where groups were found by likeness; by the language
    model's probabilities of the names where it chose; by the nearest neighbours where they did.

    Returns:
        None where no row tells what comes next (free answers, as in mode=paper; an endpoint that
        gives no probabilities), or a person has changed the groups since.
    """
    rows: Mapping[str, Mapping[str, object]] = read_rows(folder, "assignments")
    found = np.full((len(clustering), LIKELIEST), -1, dtype=np.int32)
    found[:, 0] = clustering.labels_
    told = False
    for index, sample in enumerate(clustering.ids):
        row = rows.get(sample)
        if row is None or row["cluster"] != clustering.labels_[index]:
            return None
        likely = row.get("likely")
        if isinstance(likely, list):
            told = True
            own = [int(cluster) for cluster, _ in likely]
            found[index, : len(own)] = own
    return found if told else None


def write(folder: Path, found: Sequence[Point]) -> None:
    """Write the points as a table, a row a point; without any, that of before is removed.

    Raises:
        RunError: It cannot be written.
    """
    if not found:
        (folder / CURVES).unlink(missing_ok=True)
        return
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([field.name for field in fields(Point)])
    for point in found:
        values = (round(v, 4) if isinstance(v, float) else v for v in astuple(point))
        writer.writerow(["" if value is None else value for value in values])
    write_whole(folder / CURVES, stream.getvalue().encode("utf-8", "replace"))
