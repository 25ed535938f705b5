"""The tool that chooses how many clusters there are."""

from __future__ import annotations

from agentclust import attempts
from agentclust.work import Work


def choose_k(work: Work) -> str:
    """Find how many groups there are: begin with many and merge those that are close."""
    said = attempts.choose_k(work)
    wanted = work.run.config.n_clusters
    if wanted != "auto":
        found = len(work.run.read("clusters.json")["names"])
        work.run.note(f"{wanted} groups were asked for, and the raw labels give only {found}")
    return said
