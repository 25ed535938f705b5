"""What was prepared, read back."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from agentclust.files.images import read_image


def table(file: Path) -> dict[str, dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def pictures(root: Path, manifest: str) -> list[tuple[dict[str, str], Image.Image]]:
    labels = table(root / "labels.csv")
    return [
        (labels[i], read_image(root / row["file"]))
        for i, row in table(root / f"{manifest}.csv").items()
        if row["file"]
    ]
