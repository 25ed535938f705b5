"""Why images are where they are: the evidence in the image, or in the words of its caption.

A run that clustered embeddings of images is explained by heat maps, any other by the words of the
captions; both with the nearest neighbours in the embedding. Nothing here changes a result, and no
language model is asked unless the work has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agentclust import edits
from agentclust.clusterers.centred import Labels
from agentclust.edits import Grouping
from agentclust.embedded import FITTED
from agentclust.embedders import (
    Embedder,
    Kind,
    Vectors,
    default_embedder,
    load_embedder,
    normalized,
)
from agentclust.embedders.traces import tracer
from agentclust.errors import ImageProblem, InputError
from agentclust.explaining import words
from agentclust.explaining.choosing import named, some
from agentclust.explaining.explained import Explained, Explanation, as_text
from agentclust.explaining.scoring import Scorer, agreement, neighbours, scorer
from agentclust.ictc import counted_labels, embedding
from agentclust.run.record import read_clustering
from agentclust.sessions import looking
from agentclust.types import Sample
from agentclust.work import Work

__all__ = ["Explained", "Explanation", "as_text", "explain"]

NEAREST = 5  # neighbours of an image


def explain(work: Work, images: Sequence[str] = ()) -> Explained:
    """Explain why images of a run are where they are.

    Args:
        work: The run, with a result; where it has a language model, that is asked how probable it
            takes each group to be, as `agentclust.sessions.looking.why`.
        images: Which, by id, by the end of it, or by the path of the file; by default a few of each
            cluster, the most confident and the most doubtful.

    Raises:
        InputError: An image is unknown, the run has no result or neither captions nor images, or
            its vectors are damaged or of an embedder that is not here.
        ImageProblem: The vectors of images are not kept, and an image is gone.
    """
    grouping = edits.edited(work)
    clustering = read_clustering(work.run.folder)
    chosen = named(clustering, images) if images else some(clustering)
    told = [_told(work, grouping, sample_id) for sample_id in chosen]
    if _kind(work) == "image":
        return _by_images(work, grouping, told)
    return _by_words(work, grouping, told)


def _kind(work: Work) -> Kind:
    """What the groups of the run were made from."""
    of: Kind | None = (work.run.read("clusters.json") or {}).get("of")
    return of or ("text" if work.run.step_rows("captions").known else "image")


def _told(work: Work, grouping: Grouping, sample_id: str) -> Explanation:
    """What the run itself says of a sample."""
    row = grouping.rows[sample_id]
    file = {s.id: s.file for s in work.samples}[sample_id]
    caption = work.run.step_rows("captions").known.get(sample_id)
    return Explanation(
        id=sample_id,
        path=str(file or ""),
        name=row["name"],
        confidence=float(row["confidence"]),
        told=looking.why(work, grouping, {"sample": sample_id})[0],
        caption=str(caption["caption"]) if caption else "",
        raw_label=counted_labels(work)[0].get(sample_id, ""),
        probabilities=looking.probabilities(work, sample_id),
    )


def _by_images(work: Work, grouping: Grouping, told: Sequence[Explanation]) -> Explained:
    """By heat maps."""
    samples, vectors, name = _images(work)
    embedder = load_embedder(name)
    labels = _labels(grouping, samples)
    found = scorer(_fitted(work), embedder, "image", vectors, labels)
    places = {s.id: row for row, s in enumerate(samples)}
    there = [one for one in told if one.id in places]
    _compare(grouping, samples, vectors, found, there, [places[one.id] for one in there])
    with work.reporter.step("explain", len(there)) as advance:
        for one in there:
            if not isinstance(found, str) and one.margin is not None:
                _look(one, samples[places[one.id]], embedder, name, found, grouping)
            advance()
    for one in told:
        one.notes += [] if one.id in places else ["it has no image"]
    return _explained(found, vectors, labels, "image", told)


def _images(work: Work) -> tuple[tuple[Sample, ...], Vectors, str]:
    """The samples with images, their vectors as the run clustered them, and the embedder."""
    if work.run.config.embeddings:
        given = embedding.embed(work, "image")
        return given.samples, given.vectors, given.by
    samples = tuple(s for s in work.samples if s.file is not None)
    if not samples:
        why = "has neither captions nor images to explain"
        raise InputError(work.run.folder, why, "run on images, or with a captioner")
    name = work.run.config.embedder or default_embedder("image")
    # found where the run has left them, also where the files of the images are gone since
    with work.reporter.step("embed", len(samples)) as advance:
        return samples, embedding.of_images(work, name, samples, advance), name


def _look(
    one: Explanation,
    sample: Sample,
    embedder: Embedder,
    name: str,
    found: Scorer,
    grouping: Grouping,
) -> None:
    """Find where in its image the evidence for the group of a sample lies."""
    from agentclust.explaining.heat import direction, heat

    trace = tracer(embedder)
    if trace is None:
        one.notes.append(f"no heat map: {name} does not tell how a vector comes about")
        return
    file = Path(one.path)
    try:
        if hashlib.sha256(file.read_bytes()).hexdigest() != sample.sha256:
            one.notes.append(f"no heat map: {file} was changed since the run")
            return
        traced = trace(file)
    except OSError as error:
        one.notes.append(f"no heat map: {file} cannot be read ({error.strerror})")
        return
    except ImageProblem as problem:
        one.notes.append(f"no heat map: {problem}")
        return
    own = _column(found, grouping, one.name)
    one.heat = heat(traced, direction(found.scores, traced.vector, own))
    one.seen = traced.seen


def _by_words(work: Work, grouping: Grouping, told: Sequence[Explanation]) -> Explained:
    """By the words of captions."""
    captions = work.run.step_rows("captions").known
    samples = [s for s in work.samples if s.id in captions]
    places = {s.id: row for row, s in enumerate(samples)}
    there = [one for one in told if one.id in places]
    parts = [words.without(one.caption) for one in there]
    texts = [text for left in parts for text in left.values()]
    vectors, others, embedder = _texts(work, samples, texts)
    labels = _labels(grouping, samples)
    found = scorer(_fitted(work), embedder, "text", vectors, labels)
    rows = [places[one.id] for one in there]
    _compare(grouping, samples, vectors, found, there, rows)
    if not isinstance(found, str):
        start = 0
        for one, left in zip(there, parts, strict=True):
            rest = others[start : start + len(left)]
            start += len(left)
            if one.margin is not None and left:
                margins = _margins(found, rest, grouping, one.name, one.runner_up)
                one.words = words.deciding(left, one.margin, margins)
    for one in told:
        one.notes += [] if one.id in places else ["it has no caption"]
    return _explained(found, vectors, labels, "text", told)


def _texts(
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
    others = normalized(embedder.embed(texts)) if texts else vectors[:0]
    return vectors, others, embedder


def _fitted(work: Work) -> Path | None:
    """The file of the clusterer, where the groups are still those that it made."""
    file = work.run.attempt / FITTED
    edited = edits.active(edits.log(work).known.values())
    return file if file.exists() and not edited else None


def _labels(grouping: Grouping, samples: Sequence[Sample]) -> Labels:
    return np.array([grouping.rows[s.id]["cluster"] for s in samples], dtype=np.int64)


def _compare(
    grouping: Grouping,
    samples: Sequence[Sample],
    vectors: Vectors,
    found: Scorer | str,
    told: Sequence[Explanation],
    rows: Sequence[int],
) -> None:
    """Set neighbours, runner-up and margin of samples that stand in these rows."""
    for one, near in zip(told, neighbours(vectors, rows, NEAREST), strict=True):
        for row, alike in near:
            other = samples[row].id
            name = grouping.rows[other]["name"]
            one.neighbours.append({"id": other, "name": name, "similarity": round(alike, 4)})
    if isinstance(found, str):
        return
    scores = found.scores(np.asarray(vectors[np.asarray(rows)], dtype=np.float32))
    for one, row in zip(told, scores, strict=True):
        if not one.name:
            one.notes.append("no evidence: it is in no group")
            continue
        own = _column(found, grouping, one.name)
        rival = int(np.argmax(np.where(np.arange(len(row)) == own, -np.inf, row)))
        one.runner_up = grouping.names[found.groups[rival]]
        one.margin = float(row[own] - row[rival])


def _column(found: Scorer, grouping: Grouping, name: str) -> int:
    """The place of a group in the scores."""
    return int(np.searchsorted(found.groups, grouping.names.index(name)))


def _margins(
    found: Scorer, rows: Vectors, grouping: Grouping, name: str, other: str
) -> list[float]:
    """The score of one group less that of another, for each row."""
    own, rival = (_column(found, grouping, group) for group in (name, other))
    scores = found.scores(rows)
    margins: list[float] = (scores[:, own] - scores[:, rival]).tolist()
    return margins


def _explained(
    found: Scorer | str, vectors: Vectors, labels: Labels, of: str, told: Sequence[Explanation]
) -> Explained:
    if isinstance(found, str):
        return Explained(found, None, of, told)
    return Explained(found.by, agreement(found, vectors, labels), of, told)
