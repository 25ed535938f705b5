"""The result as a dataset of the Hugging Face library `datasets`, images within."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets

from agentclust.errors import InputError
from agentclust.types import Clustering


def write(clustering: Clustering, folder: Path) -> None:
    """Write what ``datasets.load_from_disk`` loads: id, image, label (-1 unassigned), confidence.

    Raises:
        InputError: An image is gone.
    """
    features: dict[str, Any] = {
        "id": datasets.Value("string"),
        "label": datasets.ClassLabel(names=list(clustering.names)),
        "confidence": datasets.Value("float32"),
    }
    if any(clustering.files):
        features["image"] = datasets.Image()
    gone = next((file for file in clustering.files if file and not Path(file).is_file()), None)
    if gone:
        raise InputError(gone, "is gone", "restore the images, or export without them: --to csv")

    def rows() -> Iterator[dict[str, Any]]:
        for row in clustering.rows():
            found = {
                "id": row["id"],
                "label": row["cluster"],
                "confidence": row["confidence"],
                "image": row["path"] or None,
            }
            yield {name: found[name] for name in features}

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with TemporaryDirectory(prefix="agentclust-") as cache:
            made = datasets.Dataset.from_generator(
                rows,
                features=datasets.Features(features),
                cache_dir=cache,
                fingerprint="agentclust",
            )
            made.info.description = f"images by {clustering.criterion!r} ({clustering.method})"
            made.save_to_disk(folder)
    finally:
        if shown:
            datasets.enable_progress_bars()
