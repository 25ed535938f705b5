"""The tool that clusters embeddings instead of asking a language model."""

from __future__ import annotations

from typing import Literal

from agentclust import embedded
from agentclust.attempts import judging
from agentclust.ictc import embedding
from agentclust.work import Work


def cluster(work: Work, of: Literal["text", "image"], why: str) -> str:
    """Give up on the captions' words and group the samples by how alike they look or read.

    The groups follow general likeness, not the criterion: only for when nothing else works.

    Args:
        work: The run.
        of: "text" to compare the captions, "image" to compare the images.
        why: The reason, for the report.
    """
    method = work.run.config.clusterer
    found = embedding.embed(work, of)
    work.run.begin(f"fallback: {why}", ("captions", "labels"), by=method)
    embedded.cluster(work, method, found)
    judging.score(work)
    run = work.run
    known = run.read("clusters.json")
    text = f"{why}; fell back to {known['source']}"
    run.update(result=run.state["attempt"], fallbacks=[*run.state["fallbacks"], text])
    return f"{len(known['names'])} groups by {known['source']}"
