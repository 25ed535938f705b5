"""Which images are explained: those that a person names, or those that stand for each cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from agentclust.commands import find_samples
from agentclust.report.gallery import Group, groups
from agentclust.types import Clustering

MOST = 60  # images that are explained where nobody names any


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


def some(
    clustering: Clustering, central: Mapping[int, Sequence[int]], most: int = MOST
) -> list[str]:
    """Members that stand for each cluster in the report, the largest cluster first.

    Each cluster gives in turn its most confident member, its most central one, its most doubtful
    one, and then confident and central ones by turns, until there are enough.

    Args:
        clustering: The result.
        central: For a cluster, members by their nearness to its mean embedding, nearest first.
        most: How many in all, at most.
    """
    found, _ = groups(clustering, central)
    queues = [_in_turn(group) for group in found]
    turns = max(map(len, queues), default=0)
    order = [(turn, place) for turn in range(turns) for place in range(len(queues))]
    chosen = [(place, turn) for turn, place in order if turn < len(queues[place])][:most]
    return [clustering.ids[queues[place][turn]] for place, turn in sorted(chosen)]


def _in_turn(group: Group) -> list[int]:
    """The members of a cluster that a report shows as its prototypes, and its most doubtful one."""
    doubtful = (group.last or group.first[::-1])[:1]
    pairs = list(zip_longest(group.first, group.central))
    order = [*pairs[:1], doubtful, *pairs[1:]]
    return list(dict.fromkeys(i for pair in order for i in pair if i is not None))
