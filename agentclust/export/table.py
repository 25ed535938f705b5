"""assignments.csv once more, outside of the run."""

from __future__ import annotations

import csv
from pathlib import Path

from agentclust.types import Clustering

COLUMNS = ("id", "path", "cluster", "name", "confidence")


def write(clustering: Clustering, folder: Path) -> None:
    """Write assignments.csv: one row a sample, with `COLUMNS`."""
    with (folder / "assignments.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(clustering.rows())
