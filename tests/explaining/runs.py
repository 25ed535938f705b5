"""A run, and what explains it."""

from __future__ import annotations

import json
import re

from agentclust import service
from agentclust.config import make_config
from agentclust.progress import Reporter

QUIET = Reporter(quiet=True)


def ran(root, dataset, criterion="object", settings=(), **values):
    values = {"n_clusters": 4, "method": "kmeans", "llm": "none", "vlm": "none"} | values
    config = make_config({"dataset": str(dataset), "criterion": criterion} | values, settings)
    return service.start([config], root / "run", reporter=QUIET)[0]


def explained(run, *images, **how):
    return service.explain(run, images, reporter=QUIET, **how)[0]


def shown(run):
    """The heat maps in the report; an image may stand there twice."""
    return set(re.findall(r'<img class="heat" src="([^"]+)"', (run / "report.html").read_text()))


def told(run):
    rows = json.loads((run / "explain/explanations.json").read_text())["images"]
    return [row["id"] for row in rows]
