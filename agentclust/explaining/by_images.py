"""Explanations of a run that clustered images: heat maps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agentclust.edits import Grouping
from agentclust.embedders import Embedder, Vectors, default_embedder, load_embedder
from agentclust.embedders.traces import tracer
from agentclust.errors import InputError
from agentclust.explaining.comparing import Compared, compared
from agentclust.explaining.explained import Explained, Explanation
from agentclust.ictc import embedding
from agentclust.types import Sample
from agentclust.work import Work

SAME = 0.99  # cosine of two vectors of one image, the stored one of half precision


def explain(work: Work, grouping: Grouping, told: Sequence[Explanation]) -> Explained:
    """Add to each explanation where in the image the evidence lies, and the nearest images.

    Raises:
        InputError, ImageProblem: As `agentclust.explaining.explain`.
    """
    samples, vectors, name = _vectors(work)
    embedder = load_embedder(name, "image")
    found = compared(work, grouping, samples, vectors, embedder)
    there = found.tell(told)
    rows = {s.id: row for row, s in enumerate(samples)}
    with work.reporter.step("explain", len(there)) as advance:
        for one in there:
            problem = _look(one, rows[one.id], embedder, name, found)
            one.notes += [f"no heat map: {problem}"] if problem else []
            advance()
    return found.explained(told)


def _vectors(work: Work) -> tuple[Sequence[Sample], Vectors, str]:
    """The samples with images, their vectors as the run clustered them, and the embedder."""
    tuned = embedding.tuned(work)
    if work.run.config.embeddings and not tuned:
        given = embedding.embed(work, "image")
        return given.samples, given.vectors, given.by
    samples = [s for s in work.samples if s.file is not None]
    if not samples:
        why = "has neither captions nor images to explain"
        raise InputError(work.run.folder, why, "run on images, or with a captioner")
    name = tuned or work.run.config.embedder or default_embedder("image")
    # found where the run has left them, also where the files of the images are gone since
    with work.reporter.step("embed", len(samples)) as advance:
        return samples, embedding.of_images(work, name, samples, advance), name


def _look(one: Explanation, row: int, embedder: Embedder, name: str, found: Compared) -> str:
    """Find where in its image the evidence for a sample's group lies, or say why that cannot be."""
    trace = tracer(embedder)
    if trace is None or isinstance(found.scorer, str):
        return f"{name} does not tell how a vector comes about"
    # networks take a while to import
    from agentclust.explaining.heat import direction, heat

    file = Path(one.path)
    try:
        if hashlib.sha256(file.read_bytes()).hexdigest() != found.samples[row].sha256:
            return f"{file} was changed since the run"
        traced = trace(file)
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    except InputError as problem:
        return str(problem)
    vector = traced.vector.detach().cpu().numpy()
    if float(vector @ np.asarray(found.vectors[row], dtype=np.float32)) < SAME:
        return f"{name} makes another vector of it now than for the run"
    own = found.column(one.name)
    warm = heat(traced, direction(found.scorer.scores, traced.vector, own))
    if not warm.any():
        return f"no place in {file} speaks for {one.name}"
    one.heat, one.seen = warm, traced.seen
    return ""
