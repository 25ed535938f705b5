"""How a run is started, and what a run that was cut short shows."""

from __future__ import annotations

import csv
import html
import json
from pathlib import Path

from agentclust import pages, service
from agentclust.config import make_config
from agentclust.progress import Reporter

RECORDING = "tests.plugged:Recording"
COLOURS = "tests.plugged:Colours"
CAPTIONS = ["a ball", "a cone", "a small ball", "a cone", "a ball", "a sofa"]


def start(dataset, out, *criteria, **settings):
    values = {"dataset": str(dataset), "n_clusters": 2, "llm": "fake", "embedder": "tfidf"}
    values |= settings
    configs = [make_config(values | {"criterion": c}) for c in criteria or ("shape",)]
    return service.start(configs, Path(out), reporter=Reporter(quiet=True))


def state(folder):
    return json.loads((folder / "run.json").read_text("utf-8"))


def fell_back(folder, said):
    """A run that is complete all the same, and tells everywhere why it is not IC|TC."""
    about, shown = state(folder), pages.show(folder)
    [reason] = about["fallbacks"]
    assert said in reason
    assert "tfidf" in reason
    assert about["status"] == "done"
    assert (shown["status"], shown["fallbacks"]) == ("done", [reason])
    assert shown["by"] != "ictc"
    assert html.escape(reason) in (folder / "report.html").read_text("utf-8")
    with (folder / "assignments.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == about["dataset"]["n_samples"]
    assert {row["name"] for row in rows} == {cluster["name"] for cluster in shown["clusters"]}


def went_on(folder):
    """A run that fell back and is now done by IC|TC."""
    shown = pages.show(folder)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
    assert "fell back" not in (folder / "report.html").read_text("utf-8")
