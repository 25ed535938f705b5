"""A call by shape, and how a run may end."""

from __future__ import annotations

import csv
import html
import json

from tests import outside
from tests.service.starting import state

SHAPE = ("--criterion", "shape", "--n-clusters", 2, "--llm", "fake")


def at(url, method="ictc", **settings):
    settings = {"timeout": 0.5, "max_retries": 0, "base_url": url} | settings
    sets = [word for key, value in settings.items() for word in ("--set", f"llm.{key}={value}")]
    words = ("--method", method, "--embedder", "tfidf", "--out", "run")
    return ("run", "m.jsonl", *SHAPE, "--llm", "openai:stub", *sets, *words)


def failed(folder, ended, said):
    """A run that failed in one line, which its folder repeats."""
    assert ended.status == 1
    assert said in ended.complaint
    about = state(folder / "run")
    assert about["status"] == "failed"
    assert ended.complaint == f"error: {about['reason']}"
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["reason"]) == ("failed", about["reason"])


def fell_back(folder, ended, said):
    """A run that is complete all the same, and tells everywhere why it is not IC|TC."""
    assert ended.status == 0, ended.err
    about = state(folder / "run")
    assert about["status"] == "done"
    [reason] = about["fallbacks"]
    assert said in reason
    assert "tfidf" in reason
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"]) == ("done", [reason])
    assert shown["by"] != "ictc"
    assert html.escape(reason, quote=True) in (folder / "run/report.html").read_text("utf-8")
    with (folder / "run/assignments.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [f"id{i}" for i in range(6)]
    assert {row["name"] for row in rows} == {cluster["name"] for cluster in shown["clusters"]}
