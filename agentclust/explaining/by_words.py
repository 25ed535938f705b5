"""Explanations of a run by captions: the words that decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agentclust.edits import Grouping
from agentclust.embedders import Embedder, Vectors, load_embedder, normalized
from agentclust.embedders.keeping import vectors_of
from agentclust.explaining.comparing import compared
from agentclust.explaining.explained import Explained, Explanation
from agentclust.explaining.words import deciding, without
from agentclust.ictc import embedding
from agentclust.types import Sample
from agentclust.work import Work


def explain(work: Work, grouping: Grouping, told: Sequence[Explanation]) -> Explained:
    """Add to each explanation the words of the caption that decide, and the nearest captions.

    Raises:
        InputError: As `agentclust.explaining.explain`.
    """
    captions = work.run.step_rows("captions").known
    samples = [s for s in work.samples if s.id in captions]
    left = {one.id: without(one.caption) for one in told}
    texts = list(dict.fromkeys(text for parts in left.values() for text in parts.values()))
    vectors, others, embedder = _vectors(work, samples, texts)
    found = compared(work, grouping, samples, vectors, embedder)
    rows = {text: row for row, text in enumerate(texts)}
    for one in found.tell(told):
        own, rival = found.column(one.name), found.column(one.runner_up)
        parts = left[one.id]
        if one.margin is None or isinstance(found.scorer, str) or not parts:
            continue
        scores = found.scorer.scores(others[[rows[text] for text in parts.values()]])
        one.words = deciding(parts, one.margin, (scores[:, own] - scores[:, rival]).tolist())
    return found.explained(told)


def _vectors(
    work: Work, samples: Sequence[Sample], texts: Sequence[str]
) -> tuple[Vectors, Vectors, Embedder]:
    """The vectors of the captions of samples, those of other texts, and what made them."""
    captions = work.run.step_rows("captions").known
    if work.run.config.embeddings:
        given = embedding.embed(work, "text")
        embedder, vectors = load_embedder(given.by, "text"), given.vectors
    else:
        embedder = embedding.text_embedder(work)
        own = [str(captions[s.id]["caption"]) for s in samples]
        if embedder.fitted:  # vectors of two calls could not be compared
            both = embedder.embed([*own, *texts])
            return both[: len(own)], both[len(own) :], embedder
        vectors = embedding.of_texts(work, own)
    others = [vectors[:0]]  # not kept in the answer store: nobody asks for these twice
    with work.reporter.step("explain", len(texts)) as advance:
        for found in vectors_of(embedder, texts):
            others.append(normalized(found))
            for _ in found:
                advance()
    return vectors, np.concatenate(others), embedder
