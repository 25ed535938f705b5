"""The tool that completes an attempt that was cut short."""

from __future__ import annotations

from agentclust import embedded
from agentclust.attempts import judging
from agentclust.ictc import embedding
from agentclust.work import Work


def fill(work: Work, why: str) -> str:
    """Put the samples that nobody was asked about into the group of their nearest neighbours.

    Args:
        work: The run.
        why: The reason, for the report.
    """
    run = work.run
    clusters = run.read_of(run.base(), "clusters.json")
    run.begin(f"fallback: {why}", ("captions", "labels", "assignments"), by="ictc and neighbours")
    run.write("clusters.json", clusters)
    filled, by = embedded.fill(work, embedding.embed(work), clusters["names"])
    judging.score(work)
    text = f"{why}; {filled} of {len(work.samples)} samples were placed by {by}"
    run.update(result=run.state["attempt"], fallbacks=[*run.state["fallbacks"], text])
    return text
