"""What ``agentclust explain`` has found out about the samples of a run, for pages to show.

It lies in the run's folder ``explain``: ``explanations.json`` and the heat maps.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentclust.errors import InputError
from agentclust.files.journal import read_json
from agentclust.types import Clustering

FOLDER, TABLE = "explain", "explanations.json"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a sample is where it is.

    Attributes:
        picture: Its heat map as a ``data:`` URL, empty where it has none.
        where: Where in the picture the evidence lies, in words.
        words: The words of its caption that decide.
        runner_up: The group that comes next.
    """

    picture: str = ""
    where: str = ""
    words: tuple[str, ...] = ()
    runner_up: str = ""


def known(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of a run's explanations by sample id; none where nothing was explained.

    Raises:
        InputError: The file of them is damaged.
    """
    file = folder / FOLDER / TABLE
    found = read_json(file)
    try:
        return {row["id"]: row for row in found["images"]} if found is not None else {}
    except (KeyError, TypeError):
        why = "does not hold explanations"
        raise InputError(file, why, "remove it, and explain again") from None


def evidence(clustering: Clustering) -> Mapping[str, Evidence]:
    """The evidence for the samples of a run that were explained and are still where they were.

    Raises:
        InputError: The file of the explanations is damaged.
    """
    rows = known(clustering.run)
    if not rows:
        return {}
    names = (*clustering.names, "")
    places = zip(clustering.ids, clustering.labels_, strict=True)
    now = {i: names[label] for i, label in places if i in rows}
    folder = clustering.run / FOLDER
    return {i: _evidence(folder, row) for i, row in rows.items() if now.get(i) == row["name"]}


def _evidence(folder: Path, row: Mapping[str, Any]) -> Evidence:
    words = tuple(str(found["word"]) for found in row["words"])
    where = row["heat"]["where"] if row["heat"] else ""
    return Evidence(picture_of(folder, row), where, words, row["runner_up"])


def picture_of(folder: Path, row: Mapping[str, Any]) -> str:
    """The heat map of a row as a ``data:`` URL, empty where it has none or it is gone."""
    if not row["heat"]:
        return ""
    try:
        content = (folder / row["heat"]["file"]).read_bytes()
    except OSError:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()
