"""Which images are explained: those that a person names, or a few of each cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agentclust.commands import find_samples
from agentclust.report.gallery import groups
from agentclust.types import Clustering

CONFIDENT, DOUBTFUL = 2, 1  # of each cluster
MOST = 60  # images in all


def named(clustering: Clustering, images: Sequence[str]) -> list[str]:
    """The ids of images that are named by id, or by the path of the file, or by the end of either.

    Raises:
        InputError: No image is named so, or several are.
    """
    known = set(clustering.ids)
    asked = [name if name in known else _by_file(clustering, name) for name in images]
    return list(dict.fromkeys(find_samples(asked, clustering.ids)))


def _by_file(clustering: Clustering, name: str) -> str:
    """The id of the one image whose path is this or ends so, else the name as it is."""
    whole, end = os.path.abspath(name), f"/{name.strip('/')}"
    pairs = zip(clustering.ids, clustering.files, strict=True)
    found = [i for i, file in pairs if file and (file == whole or file.endswith(end))]
    return found[0] if len(found) == 1 else name


def some(clustering: Clustering) -> list[str]:
    """The two most confident members of each cluster and the most doubtful one.

    Of the smaller ones of many clusters only the most confident, at most 60 in all.
    """
    found, _ = groups(clustering)
    first = [group.first[:CONFIDENT] for group in found]
    last = [(group.last or group.first[::-1])[:DOUBTFUL] for group in found]
    order = [i for own in zip(first, last, strict=True) for part in own for i in part]
    if len(order) > MOST:
        order = [group.first[0] for group in found if group.first][:MOST]
    return [clustering.ids[i] for i in dict.fromkeys(order)]
