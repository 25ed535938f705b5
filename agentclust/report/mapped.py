"""The map of a page as data for its script; knows nothing of HTML."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from agentclust.report.gallery import Group
from agentclust.report.thumbnails import columns
from agentclust.report.view import Map
from agentclust.types import Clustering

TEXT = 160  # characters of a caption
DIGITS = 4  # of a place: a ten-thousandth of the map is less than a pixel until far in


@dataclass(frozen=True)
class Drawn:
    """What the page's template needs of a map.

    Attributes:
        data: JSON for the script, safe inside a ``script`` element.
        sheet: ``data:`` URL of the thumbnails, empty where there are none.
        told: What is seen, a sentence.
    """

    data: Markup
    sheet: str
    told: str


def drawn(
    found: Map, clustering: Clustering, groups: Sequence[Group], captions: Mapping[str, str]
) -> Drawn:
    """A map as the page shows it.

    Args:
        found: The map.
        clustering: The result that gives each sample its cluster.
        groups: The clusters in the order of the page, the unassigned last.
        captions: By sample id.
    """
    chosen = found.rows.tolist()
    low = found.places.min(axis=0, initial=np.inf)
    spread = np.maximum(found.places.max(axis=0, initial=-np.inf) - low, 1e-9)
    places = np.round((found.places - low) / spread, DIGITS)
    ids = [clustering.ids[i] for i in chosen]
    data: dict[str, Any] = {
        "x": places[:, 0].tolist(),
        "y": (1 - places[:, 1]).round(DIGITS).tolist(),
        "c": clustering.labels_[found.rows].tolist(),
        "p": np.round(clustering.confidences[found.rows], 2).tolist(),
        "id": [_plain(i) for i in ids],
        "text": [_plain(captions.get(i, "")[:TEXT]) for i in ids],
        "tile": found.tile,
        "columns": columns(len(chosen)) if found.pictures else 0,
        "clusters": [{"index": g.index, "name": _plain(g.name)} for g in groups if g.size],
    }
    shown, whole = len(chosen), len(clustering)
    part = "All of them" if shown == whole else f"{shown:,} of the {whole:,}, drawn at random"
    pictures = base64.b64encode(found.pictures).decode()
    return Drawn(
        data=Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")),
        sheet=f"data:image/jpeg;base64,{pictures}" if pictures else "",
        told=f"{part}, laid out {found.how}.",
    )


def _plain(text: str) -> str:
    """Text that UTF-8 can hold: names of files may be none."""
    return text.encode("utf-8", "replace").decode()
