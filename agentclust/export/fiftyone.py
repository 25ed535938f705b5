"""The result as a FiftyOneImageClassificationDataset: JSON that FiftyOne imports.

The layout is that of the user guide of FiftyOne, "Importing data", for a data manifest and labels:
``data.json`` maps each id to its image, ``labels.json`` each id to its class and confidence. The
library, which brings a database, is not needed to write it.
"""

from __future__ import annotations

from pathlib import Path

from agentclust.errors import InputError
from agentclust.files.journal import write_json
from agentclust.types import Clustering


def write(clustering: Clustering, folder: Path) -> None:
    """Write data.json and labels.json; samples without an image are left out.

    Raises:
        InputError: No sample has an image.
    """
    rows = [row for row in clustering.rows() if row["path"]]
    if not rows:
        raise InputError(clustering.run, "holds no images, only captions", "use --to csv")
    labels = {
        row["id"]: {"label": row["cluster"], "confidence": row["confidence"]}
        if row["cluster"] >= 0
        else None
        for row in rows
    }
    write_json(folder / "data.json", {row["id"]: row["path"] for row in rows})
    write_json(folder / "labels.json", {"classes": list(clustering.names), "labels": labels})
