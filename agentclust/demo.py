"""The demonstration: one folder of drawn pictures, three criteria, three different groupings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agentclust import datasets, report, service
from agentclust.config import make_config
from agentclust.errors import InputError
from agentclust.models import catalogue
from agentclust.models.pull import pull
from agentclust.types import Clustering

# the smallest model of the catalogue that reads the captions right: the 0.5B one calls most
# colours unknown and takes percentages for numbers
LLM = "qwen2.5-coder-1.5b"
CRITERIA = {"colour": "colour", "number of objects": "count", "shape": "shape"}  # -> label axis


def demonstrate(out: Path, llm: str | None = None) -> Iterator[str]:
    """Draw pictures, cluster them by each criterion, and say how right that was.

    Args:
        out: Folder for pictures, runs and reports; must not hold runs yet.
        llm: The language model; by default a small local one, fetched where it is missing.

    Yields:
        What a person reads: a clustering and its scores for each criterion, then the report.
    """
    runs = out / "runs"
    if runs.exists():
        raise InputError(runs, "is there already", f"look into it, or remove {out} and run again")
    pictures = datasets.prepare("clevr4-mini", out)
    if llm is None:
        llm = LLM
        if catalogue.path_of(LLM) is None:
            pull(LLM)
    configs = [
        make_config(
            {
                "dataset": str(pictures / "images"),
                "criterion": criterion,
                "n_clusters": 10,
                "llm": llm,
            }
        )
        for criterion in CRITERIA
    ]
    pages: list[tuple[Clustering, Path]] = []
    for clustering in service.start(configs, runs):
        axis = CRITERIA[clustering.criterion]
        scores = service.evaluate(clustering.run, pictures / "labels.csv", axis)
        yield f"{clustering}\n  ACC {scores.acc:.3f}  NMI {scores.nmi:.3f}  ARI {scores.ari:.3f}\n"
        pages.append((clustering, clustering.run / "report.html"))
    yield f"report: {report.write_index(pages, out / 'report.html').absolute()}"
