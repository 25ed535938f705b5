"""Which members of a clustering a page shows. Knows indices and confidences, no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agentclust.types import Clustering

SHOWN = 24  # of one cluster at most
CENTRAL = 8  # of them for being near to the mean, in a cluster of more members
SHOWN_IN_ALL = 480  # about; keeps a page with many clusters at a few megabytes


@dataclass(frozen=True, slots=True)
class Group:
    """One cluster, or the unassigned, and the members that stand for it.

    Attributes:
        index: Cluster index; -1 for the unassigned.
        name: The cluster's name.
        size: How many members it has.
        share: Its share of all samples, 0..1.
        confidence: Mean confidence of its members, 0..1.
        first: Sample indices to show first, the most confident ones in front.
        last: The least confident ones, lowest in front; empty where `first` holds every member
            or the confidences do not differ.
        central: Those nearest to the mean embedding of the cluster, nearest first; empty where
            that is not known, or the cluster has hardly more.
        ranked: Whether the confidences differ, so that the order means something.
    """

    index: int
    name: str
    size: int
    share: float
    confidence: float
    first: tuple[int, ...]
    last: tuple[int, ...]
    central: tuple[int, ...]
    ranked: bool

    @property
    def more(self) -> int:
        """How many members are not shown."""
        return self.size - len(self.first) - len(self.last)


def groups(
    clustering: Clustering, central: Mapping[int, Sequence[int]] | None = None
) -> tuple[list[Group], Group]:
    """Every cluster, largest first, and the unassigned.

    Args:
        clustering: The result.
        central: For a cluster, members by their nearness to its mean embedding, nearest first.
    """
    labels, confidences = clustering.labels_, clustering.confidences
    order = np.lexsort((-confidences, labels))  # stable: ties stay in the dataset's order
    bounds = np.searchsorted(labels[order], np.arange(-1, clustering.n_clusters + 1))
    limit = max(1, min(SHOWN, SHOWN_IN_ALL // max(clustering.n_clusters, 1)))
    found = [
        _group(
            index,
            clustering,
            order[bounds[index + 1] : bounds[index + 2]],
            limit,
            (central or {}).get(index, ()),
        )
        for index in range(-1, clustering.n_clusters)
    ]
    return sorted(found[1:], key=lambda group: -group.size), found[0]


def _group(
    index: int,
    clustering: Clustering,
    members: NDArray[np.int64],
    limit: int,
    central: Sequence[int],
) -> Group:
    """A group of `members`, which come most confident first."""
    confidences = clustering.confidences[members]
    ranked = index >= 0 and len(members) > 1 and bool(confidences[0] > confidences[-1])
    n_last = limit // 3 if ranked and len(members) > limit else 0
    return Group(
        index=index,
        name=clustering.names[index] if index >= 0 else "unassigned",
        size=len(members),
        share=len(members) / max(len(clustering), 1),
        confidence=float(confidences.mean()) if len(members) else 0.0,
        first=tuple(members[: limit - n_last].tolist()),
        last=tuple(members[::-1][:n_last].tolist()),
        central=tuple(central[: min(CENTRAL, limit)]) if len(members) > CENTRAL else (),
        ranked=ranked,
    )
