"""Comparing the groups of a run by their scores, and its samples by their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agentclust import edits
from agentclust.clusterers.counting import Labels
from agentclust.edits import Grouping
from agentclust.embedded import FITTED
from agentclust.embedders import Embedder, Kind, Vectors
from agentclust.explaining.explained import Explained, Explanation
from agentclust.explaining.scoring import Scorer, agreement, neighbours, scorer
from agentclust.types import Sample
from agentclust.work import Work

NEAREST = 5  # neighbours of a sample


@dataclass(frozen=True)
class Compared:
    """The groups of a run, and what scores them.

    Attributes:
        grouping: The result as it stands.
        samples: Those with a vector, shape (n,).
        vectors: Unit rows, shape (n, d).
        labels: The group of each, -1 for none, shape (n,).
        of: What was embedded.
        scorer: What scores the groups, or the reason why nothing does.
    """

    grouping: Grouping
    samples: Sequence[Sample]
    vectors: Vectors
    labels: Labels
    of: Kind
    scorer: Scorer | str

    def tell(self, told: Sequence[Explanation]) -> list[Explanation]:
        """Set neighbours, runner-up and margin, and return those that have a group to compare."""
        rows = {sample.id: row for row, sample in enumerate(self.samples)}
        there = [one for one in told if one.id in rows]
        for one in told:
            if one.id not in rows:
                one.notes.append(f"it has no {'image' if self.of == 'image' else 'caption'}")
        if not there:
            return []
        chosen = [rows[one.id] for one in there]
        for one, near in zip(there, neighbours(self.vectors, chosen, NEAREST), strict=True):
            one.neighbours = [self._neighbour(row, alike) for row, alike in near]
        found = self.scorer
        if isinstance(found, str):
            return []
        scores = found.scores(np.asarray(self.vectors[np.asarray(chosen)], dtype=np.float32))
        for one, row in zip(there, scores, strict=True):
            if not one.name:
                one.notes.append("no evidence: it is in no group")
                continue
            own = self.column(one.name)
            rival = int(np.argmax(np.where(np.arange(len(row)) == own, -np.inf, row)))
            one.runner_up = self.grouping.names[found.groups[rival]]
            one.margin = float(row[own] - row[rival])
        return [one for one in there if one.margin is not None]

    def column(self, name: str) -> int:
        """The place of a group in the scores."""
        assert not isinstance(self.scorer, str)
        return int(np.searchsorted(self.scorer.groups, self.grouping.names.index(name)))

    def explained(self, told: Sequence[Explanation]) -> Explained:
        """The explanations with what they stand on."""
        if isinstance(self.scorer, str):
            return Explained(self.scorer, None, self.of, told)
        agreed = agreement(self.scorer, self.vectors, self.labels)
        return Explained(self.scorer.by, agreed, self.of, told)

    def _neighbour(self, row: int, alike: float) -> dict[str, object]:
        other = self.samples[row].id
        name = self.grouping.rows[other]["name"]
        return {"id": other, "name": name, "similarity": round(alike, 4)}


def compared(
    work: Work,
    grouping: Grouping,
    samples: Sequence[Sample],
    vectors: Vectors,
    embedder: Embedder,
) -> Compared:
    """The groups of a run by the vectors that an embedder made of its samples.

    Raises:
        InputError: The file of the run's clusterer is damaged.
    """
    labels = np.array([grouping.rows[s.id]["cluster"] for s in samples], dtype=np.int64)
    found = scorer(_fitted(work), embedder, vectors, labels)
    return Compared(grouping, samples, vectors, labels, embedder.of, found)


def _fitted(work: Work) -> Path | None:
    """The file of the clusterer, where the groups are still those that it made."""
    file = work.run.attempt / FITTED
    edited = edits.active(edits.log(work).known.values())
    return file if file.exists() and not edited else None
