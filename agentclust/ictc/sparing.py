"""Asking little: the labels of a few exemplars tell those of all, and where the groups lie.

`agentclust.ictc.focusing` holds the theory. Here it meets a run: which samples the model is asked
about, the labels that the others get from them, and groups that are found first and named then.
It takes `FEW` samples with captions and an embedder that knows what words mean; small sets are
exemplars as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from agentclust import wording
from agentclust.clusterers.counting import Labels
from agentclust.config import RunConfig
from agentclust.embedders import Vectors, default_embedder
from agentclust.ictc import embedding, focusing, kinds, speaking
from agentclust.ictc.focusing import Focus
from agentclust.ictc.likely import likeliest
from agentclust.types import Sample
from agentclust.work import Work

FEW = 30  # samples: of fewer likeness says little
FEWEST = 64  # exemplars
A_GROUP = 5  # exemplars for each group that is wanted
GROWTH = 3.5  # exemplars grow with the square root of the set, by this
TELLING = 0.2  # share of the labels' variance that captions have to predict, or more is asked
CHANCE = 0.05  # share below which captions do not tell the labels at all
ROUNDS = 3  # of exemplars, each twice the one before
SPREAD = "likeness"  # what gave a label that the model did not give


def rounds(work: Work) -> Iterator[tuple[list[Sample], bool]]:
    """The samples whose labels are to be known next: all at once, or exemplars until they tell.

    With them comes whether several may share a prompt: they may where groups are found by
    likeness, which averages the slips.

    Where the labels of the exemplars do not tell those of other samples (each in turn is predicted
    without its own), twice as many are asked; small sets then are asked about as a whole.
    """
    wanted = work.run.config.exemplars
    asked = [s for s in _captioned(work) if s.raw_label is None]
    if wanted == "all" or not possible(work):
        yield list(work.samples), False
        return
    together = work.run.config.grouping == "likeness"
    given = [s for s in work.samples if s.raw_label is not None]
    first = usual(len(asked), work.run.n_clusters) if wanted == "auto" else wanted
    explained = 0.0
    for turn in range(ROUNDS):
        n = first << turn
        if n >= (len(asked) / 2 if wanted == "auto" else len(asked)):
            yield list(work.samples), together
            return
        chosen = focusing.exemplars(_vectors(work, asked), n, work.run.config.seed)
        yield given + [asked[i] for i in chosen], True
        if not _told(work):
            return
        explained = _focused(work)[0].explained
        if wanted != "auto" or explained >= TELLING:
            return
    work.run.note(
        f"the labels of {n} exemplars hardly tell those of other samples ({explained:.0%} of what "
        "they differ in): --set exemplars=all asks about each sample"
    )


def usual(n: int, k: int | str) -> int:
    """How many exemplars are asked about first."""
    return max(FEWEST, A_GROUP * (k if isinstance(k, int) else 0), int(GROWTH * n**0.5))


def first(config: RunConfig, n: int) -> int:
    """How many of `n` captions the model is asked about at first, several in a prompt.

    0 where it is asked about each by itself.
    """
    name = config.embedder or default_embedder("text")
    if name == "tfidf" or config.mode == "paper" or config.exemplars == "all" or n < FEW:
        return 0
    if isinstance(config.exemplars, int):
        return min(config.exemplars, n)
    wanted = usual(n, config.n_clusters)
    return wanted if wanted < n / 2 else (n if config.grouping == "likeness" else 0)


def possible(work: Work) -> bool:
    """Whether captions can be compared by meaning, and there are enough of them."""
    return len(_captioned(work)) >= FEW and not embedding.text_embedder(work).fitted


def labelled(work: Work) -> Iterator[tuple[str, str, bool]]:
    """The id of each sample that has a label, the label, and whether other samples gave it."""
    for i, row in work.run.step_rows("labels").known.items():
        yield i, sys.intern(row["label"]), row.get("by") == SPREAD  # few labels differ


def asked(work: Work) -> dict[str, str]:
    """The labels that the model gave, or that were given to it, by sample id."""
    return {i: text for i, text, guessed in labelled(work) if not guessed}


def spread(work: Work) -> None:
    """Give each sample that nobody asked about the label that those of the exemplars predict."""
    rows = work.run.step_rows("labels")
    samples = _captioned(work)
    if all(s.id in rows.known for s in samples) or not _told(work) or not possible(work):
        return
    found, _, labels = _focused(work)
    different = list(wording.count(labels))
    vectors = embedding.of_texts(work, different)
    for sample, index in zip(samples, focusing.nearest(found, vectors), strict=True):
        if sample.id not in rows.known:
            text = different[index]
            rows.append({"id": sample.id, "raw_label": text, "label": text, "by": SPREAD})


def groups(work: Work) -> list[str] | None:
    """Find groups by likeness under the criterion, and name them: groups.jsonl and their names.

    Returns:
        The names; None where likeness tells nothing: too few samples or labels, or all labels
        known that captions do not tell.
    """
    k = work.run.n_clusters
    if not possible(work) or not _told(work):
        return None
    different = len(set(asked(work).values()))
    if different < (k if isinstance(k, int) else 2):
        return None
    samples = _captioned(work)
    found, taught, labels = _focused(work)
    if found.explained < CHANCE and len(taught) == len(samples):
        return None
    vectors, seed = _vectors(work, samples), work.run.config.seed
    words = embedding.by_criterion(work, samples, vectors) if work.run.config.focus else None
    by_kind = _focused_by_kind(work, taught, labels)
    # kinds lie in clumps: they tell what belongs together, not how finely the criterion divides
    wanted = k if isinstance(k, int) else focusing.count(found, seed)
    with work.reporter.step("group", len(samples)) as advance:
        clusters, likely = focusing.partition(by_kind or found, wanted, taught, labels, seed, words)
        likely = focusing.surer(likely) if by_kind else likely
        for _ in samples:
            advance()
    if isinstance(k, int) and clusters.max() + 1 < k:
        return None
    rows = work.run.step_rows("groups")
    for sample, cluster, shares in zip(samples, clusters, likely, strict=True):
        if sample.id not in rows.known:
            own = float(shares[cluster])
            next_ones = likeliest(int(cluster), own, enumerate(shares.tolist()))
            row = {"id": sample.id, "cluster": int(cluster), "confidence": round(own, 4)}
            rows.append(row | {"likely": next_ones})
    return speaking.names_by_labels(work, samples, found.joined(1.0), clusters)


def seem(work: Work) -> int:
    """How many groups there seem to be, whatever number was asked for."""
    return focusing.count(_focused(work)[0], work.run.config.seed)


def _captioned(work: Work) -> list[Sample]:
    captions = work.run.step_rows("captions").known
    return [s for s in work.samples if s.id in captions]


def _told(work: Work) -> bool:
    """Whether a label of a caption is known; there may be raw labels without captions besides."""
    captions = work.run.step_rows("captions").known
    return any(i in captions and not guessed for i, _, guessed in labelled(work))


def _vectors(work: Work, samples: Sequence[Sample]) -> Vectors:
    captions = work.run.step_rows("captions").known
    return embedding.of_texts(work, [captions[s.id]["caption"] for s in samples])


def _focused(work: Work) -> tuple[Focus, Labels, list[str]]:
    """The captions' embeddings under the criterion, the indices of those asked, their labels."""
    samples = _captioned(work)
    known = asked(work)
    taught = np.array([i for i, s in enumerate(samples) if s.id in known])
    labels = [known[samples[i].id] for i in taught]
    different = sorted(set(labels))
    told = _each(labels, different, embedding.of_texts(work, different))
    return focusing.focus(_vectors(work, samples), taught, told), taught, labels


def _focused_by_kind(work: Work, taught: Labels, labels: Sequence[str]) -> Focus | None:
    """The same with the labels as the model takes them, where it tells that."""
    different = sorted(set(labels))
    vectors = kinds.of_labels(work, different)
    if vectors is None:
        return None
    samples = _captioned(work)
    return focusing.focus(_vectors(work, samples), taught, _each(labels, different, vectors))


def _each(labels: Sequence[str], different: Sequence[str], vectors: Vectors) -> Vectors:
    """The vector of each label, from those of the different ones."""
    places = {text: i for i, text in enumerate(different)}
    return vectors[[places[text] for text in labels]]
