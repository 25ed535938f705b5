"""A part of the images is looked at; the others go where their nearest neighbours went.

What a model that sees takes for one image, a language model takes for many captions. So of a large
set a random part is described and grouped by IC|TC, and the rest follows by the k nearest
neighbours among embeddings of the images (Cover and Hart, IEEE Transactions on Information Theory
13(1), 1967). Those know no criterion: how much is lost depends on how far the embedder sees it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from agentclust import embedded
from agentclust.config import RunConfig
from agentclust.embedders import default_embedder
from agentclust.errors import InputError
from agentclust.ictc import assignment, embedding
from agentclust.ictc.embedding import Embedded
from agentclust.types import Sample
from agentclust.work import Work


def check(config: RunConfig) -> None:
    """Refuse a part that cannot hold the clusters.

    Raises:
        InputError: It is smaller than their number.
    """
    part, k = config.captioned, config.n_clusters
    if isinstance(part, int) and isinstance(k, int) and part < k:
        raise InputError(f"captioned={part}", f"is fewer than {k} clusters", "caption more images")


def looked_at(config: RunConfig, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """The samples that the steps of IC|TC see, in their order.

    Those with a caption or a raw label are among them whatever the setting `captioned` says; they
    count as captioned, and as many others are drawn as it leaves room for.
    """
    if config.captioned == "all":
        return samples
    free = [i for i, s in enumerate(samples) if s.caption is None and s.raw_label is None]
    room = max(0, config.captioned - (len(samples) - len(free)))
    left_out = set(np.random.RandomState(config.seed).permutation(free)[room:].tolist())
    return tuple(s for i, s in enumerate(samples) if i not in left_out)


def part_of(work: Work) -> Work:
    """The same run with the samples that are looked at."""
    return replace(work, samples=looked_at(work.run.config, work.samples))


def place_others(work: Work, part: Work) -> None:
    """Assign the samples that were not looked at, in the attempt that is the result.

    Args:
        work: The run with all samples.
        part: The same with those that were looked at; they have rows.
    """
    if len(part.samples) == len(work.samples):
        return
    names: list[str] = work.run.read("clusters.json")["names"]
    rows = work.run.step_rows("assignments")
    looked = f"{len(part.samples)} of {len(work.samples)} images were looked at"
    if not any(row["cluster"] >= 0 for row in rows.known.values()):
        for sample in work.samples:
            if sample.id not in rows.known:
                reason = "no image that was looked at has a group"
                rows.append(assignment(sample.id, -1, names, 0.0, "", reason))
        return
    name = "" if embedding.wanted(work) == "image" else default_embedder("image")
    found = embedding.embed(work, "image", name)
    told = _told(work, part, found)
    _, by = embedded.fill(work, found, names)
    work.run.note(
        f"{looked}; the others were placed by {by}, "
        f"which tell the group of {told:.0%} of those that were looked at"
    )


def _told(work: Work, part: Work, found: Embedded) -> float:
    """Share of the samples looked at whose nearest others have their group: no true label in it."""
    rows = work.run.step_rows("assignments").known
    places = {s.id: index for index, s in enumerate(found.samples)}
    known = [s.id for s in part.samples if s.id in places and rows[s.id]["cluster"] >= 0]
    if len(known) < 2:
        return 0.0
    groups = np.array([rows[i]["cluster"] for i in known])
    model = KNeighborsClassifier(min(embedded.NEIGHBOURS, len(known) - 1), weights="distance")
    model.fit(found.vectors[[places[i] for i in known]], groups)
    shares = model.predict_proba(None)  # of each by the others
    return float((model.classes_[shares.argmax(axis=1)] == groups).mean())
