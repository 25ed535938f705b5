"""The vectors of a run's captions, images and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from agentclust import focusing
from agentclust.embedders import (
    Embedder,
    Kind,
    Vectors,
    default_embedder,
    embed_cached,
    load_embedder,
)
from agentclust.errors import InputError, RunError
from agentclust.types import Sample
from agentclust.work import Work

WORDS = {"text": "captions", "image": "images"}


@dataclass(frozen=True)
class Embedded:
    """Vectors of samples.

    Attributes:
        samples: Those that could be embedded, shape (n,).
        vectors: Unit rows, shape (n, d).
        of: What was embedded: "text" for captions, "image" for images.
        by: The embedder's name.
    """

    samples: tuple[Sample, ...]
    vectors: Vectors
    of: Kind
    by: str


def embed(work: Work, first: Kind = "text") -> Embedded:
    """The vectors of the samples' captions or images.

    Args:
        work: The run.
        first: What to embed where there are both and the setting `embedder` decides nothing.

    Raises:
        RunError: There are neither captions nor images.
        InputError, MissingExtra: The embedder cannot be used.
    """
    captions = work.run.step_rows("captions").known
    texts = [s for s in work.samples if s.id in captions]
    images = [s for s in work.samples if s.file is not None]
    there: dict[Kind, list[Sample]] = {"text": texts, "image": images}
    name = work.run.config.embedder
    kinds = sorted(
        there, key=lambda kind: (len(there[kind]) < len(work.samples) / 2, kind != first)
    )
    if not there[kinds[0]]:
        raise RunError("the dataset", "has neither captions nor images to embed", "name a --vlm")
    name = name or default_embedder(kinds[0])
    embedder = load_embedder(name)
    samples = there[embedder.of]
    if not samples:
        why = f"embeds {embedder.of}s, and the samples have none"
        raise InputError(name, why, "leave the setting embedder away")
    with work.reporter.step("embed", len(samples)) as advance:
        if embedder.of == "text":
            items = [captions[s.id]["caption"] for s in samples]
            vectors = embed_cached(embedder, items, items, work.answers, advance)
        else:
            samples = [s for s in samples if s.file is not None and s.file.is_file()]
            files = [s.file for s in samples]
            vectors = embed_cached(
                embedder, [s.sha256 for s in samples], files, work.answers, advance
            )
    return Embedded(tuple(samples), vectors, embedder.of, name)


def wanted(work: Work) -> Kind:
    """What ``--method kmeans`` and the like embed: images where every sample has one.

    The setting `embedder` decides where it is given.
    """
    name = work.run.config.embedder
    if name:
        return load_embedder(name).of
    return "image" if all(s.file for s in work.samples) else "text"


def text_embedder(work: Work) -> Embedder:
    """The run's embedder of texts: the one of its settings, else the best that is installed."""
    name = work.run.config.embedder
    embedder = load_embedder(name) if name else None
    if embedder is None or embedder.of != "text":
        embedder = load_embedder(default_embedder("text"), "text")
    return embedder


def of_texts(work: Work, texts: Sequence[str]) -> Vectors:
    """Unit rows for texts, shape (n, d), by `text_embedder`."""
    embedder = text_embedder(work)
    with work.reporter.step("embed", len(texts)) as advance:
        return embed_cached(embedder, texts, texts, work.answers, advance)


def by_criterion(work: Work, samples: Sequence[Sample], vectors: Vectors) -> Vectors:
    """The vectors of captions focused on the criterion by their words, see `focusing.by_words`."""
    captions = work.run.step_rows("captions").known
    texts = [captions[s.id]["caption"] for s in samples]
    criterion = of_texts(work, [work.run.criterion])[0]
    return focusing.by_words(texts, vectors, criterion, partial(of_texts, work))
