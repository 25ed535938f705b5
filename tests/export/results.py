"""A result to be exported, and what lies in a folder."""

from __future__ import annotations

import numpy as np

from agentclust.types import Clustering
from tests.pictures import draw

NAMES = ("red", "Grün/Blau")
BYTES = ("copy", "link", "move")


def clustering(folder, labels=(0, 1, 0, -1), names=NAMES, pictures=True):
    """A result whose images lie in folders of their own, all of one name."""
    files = []
    for number in range(len(labels)):
        file = folder / "photos" / f"day{number}" / "img.png"
        if pictures:
            file.parent.mkdir(parents=True)
            draw(file, colour=(number, 10, 20))
        files.append(str(file) if pictures else "")
    return Clustering(
        criterion="colour",
        method="ictc",
        ids=tuple(f"day{number}/img.png" for number in range(len(labels))),
        files=tuple(files),
        labels_=np.array(labels, dtype=np.int64),
        names=names,
        confidences=np.linspace(1, 0.25, len(labels)),
        run=folder / "run",
    )


def contents(folder):
    """Every file below a folder with its bytes."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
