"""The plots of a run's page, from the files that hold their numbers."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from agentclust import report
from agentclust.embedded import COUNTED
from agentclust.errors import InputError
from agentclust.files.journal import read_json

CURVES = "curves.csv"
NO_ORDER = "Which clusters come next for a sample is not known here, and so no top-5."
TITLES = {"acc": "ACC", "nmi": "NMI", "ari": "ARI", "top5": "top-5"}


@dataclass(frozen=True, slots=True)
class Point:
    """The scores of the first so many candidates.

    Attributes:
        order: What the candidates are ordered by: "confidence", or "near ID".
        n: How many there are.
        acc: As `metrics.external`, of these candidates alone.
        nmi: Likewise.
        ari: Likewise.
        top5: Share whose class is matched to one of its five likeliest clusters, as
            `agentclust.service.curving.points` says; None where nothing tells them.
    """

    order: str
    n: int
    acc: float
    nmi: float
    ari: float
    top5: float | None


def counted(attempt: Path) -> report.Plot | None:
    """The numbers of clusters that an attempt tried; None where it tried none.

    Raises:
        InputError: The file of it is damaged.
    """
    found = read_json(attempt / COUNTED)
    if found is None:
        return None
    try:
        line = [(float(row["n_clusters"]), float(row["silhouette"])) for row in found["tried"]]
        looked_at, n_rows, chosen = (int(found[k]) for k in ("looked_at", "n_rows", "chosen"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(attempt / COUNTED, f"is damaged ({error})", "remove it") from None
    part = "all" if looked_at == n_rows else f"{looked_at:,} of the {n_rows:,}"
    return report.Plot(
        title="How many clusters",
        x="clusters",
        lines={"silhouette": line},
        mark=(chosen, f"{chosen} clusters"),
        told=f"The fewest whose mean silhouette, over {part} vectors, is within one standard "
        "error of the best.",
    )


def points(folder: Path) -> list[Point]:
    """The scores over the number of candidates that the last comparison found, if it looked.

    Raises:
        InputError: The file of them is damaged.
    """
    file = folder / CURVES
    if not file.exists():
        return []
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return [
                Point(
                    row["order"],
                    int(row["n"]),
                    float(row["acc"]),
                    float(row["nmi"]),
                    float(row["ari"]),
                    float(row["top5"]) if row["top5"] else None,
                )
                for row in csv.DictReader(stream)
            ]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(file, f"is damaged ({error})", "evaluate again") from None


def curves(folder: Path, attempt: Path) -> tuple[report.Plot, ...]:
    """Scores over the number of candidates, a plot for each order of them.

    Args:
        folder: The run.
        attempt: The folder of the attempt that is its result.

    Raises:
        InputError: As `points`.
    """
    likely = (read_json(attempt / "clusters.json") or {}).get("order", "")
    found: dict[str, list[Point]] = {}
    for point in points(folder):
        found.setdefault(point.order, []).append(point)
    plots = []
    for order, own in found.items():
        lines = {
            title: [
                (point.n, value) for point in own if (value := getattr(point, name)) is not None
            ]
            for name, title in TITLES.items()
        }
        words = "Each point scores so many samples by themselves."
        if not lines["top-5"]:
            words += f" {NO_ORDER}"
        elif likely:
            words += f" For top-5, which clusters come next is by the {likely}."
        plots.append(
            report.Plot(
                title=f"Scores by the number of candidates, {_worded(order)}",
                x="candidates",
                lines={title: line for title, line in lines.items() if line},
                told=words,
            )
        )
    return tuple(plots)


def _worded(order: str) -> str:
    return "the surest first" if order == "confidence" else order.replace("near ", "nearest to ", 1)
