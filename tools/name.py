"""The tool that names the clusters."""

from __future__ import annotations

from agentclust import ictc
from agentclust.ictc import paper
from agentclust.work import Work


def name(work: Work) -> str:
    """Choose the names of the clusters from the counted raw labels."""
    (paper if work.run.config.mode == "paper" else ictc).name(work)
    found = work.run.read("clusters.json")
    return f"{len(found['names'])} clusters ({found['source']}): {', '.join(found['names'])}"
