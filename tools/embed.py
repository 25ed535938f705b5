"""The tool that embeds captions or images."""

from __future__ import annotations

from typing import Literal

from agentclust.ictc import embedding
from agentclust.work import Work


def embed(work: Work, of: Literal["text", "image"], why: str) -> str:
    """Turn the samples into vectors that lie near each other where they are alike.

    Args:
        work: The run.
        of: "text" for the captions, "image" for the images themselves.
        why: What for.
    """
    found = embedding.embed(work, of)
    rows, width = found.vectors.shape
    return f"{rows} of {len(work.samples)} samples embedded by {found.by} in {width} dimensions"
