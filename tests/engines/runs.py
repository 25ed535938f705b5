"""A run over captions, here and on a cluster, and what must be the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agentclust import service
from agentclust.config import make_config
from agentclust.progress import Reporter
from agentclust.service import Place
from tests.engines.machines import lines

OWN = {"usage.jsonl", "run.json", "report.html", "answers.sqlite", ".lock"}  # seconds, times

PATIENT = [
    pytest.mark.timeout(900),  # on a machine that is busy otherwise
    pytest.mark.filterwarnings("ignore::ResourceWarning:ray"),
]


def settings(dataset, **more):
    return make_config(
        {"dataset": str(dataset), "criterion": "thing", "n_clusters": 3, "method": "ictc",
         "llm": "fake", "embedder": "tfidf", "cache": False} | more
    )  # fmt: skip


def words(dataset, out, *more):
    return ("run", dataset, "--criterion", "thing", "--n-clusters", 3, "--method", "ictc",
            "--embedder", "tfidf", "--set", "cache=false", "--out", out, *more)  # fmt: skip


def run(config, out, place=Place()):  # noqa: B008
    return service.start([config], out, reporter=Reporter(quiet=True), place=place)[0]


def same(one: Path, other: Path, *, in_order: bool = True) -> None:
    """Two runs have the same files, but for what tells seconds."""
    files = [f.relative_to(one) for f in sorted(one.rglob("*")) if f.is_file()]
    assert files == [f.relative_to(other) for f in sorted(other.rglob("*")) if f.is_file()]
    compared = [f for f in files if not OWN & {f.name, f.name.partition("-")[0]}]
    assert Path("assignments.csv") in compared
    for file in compared:
        if file.suffix == ".npz":  # which tells when it was packed
            arrays = [dict(np.load(run / file, allow_pickle=False)) for run in (one, other)]
            assert arrays[0].keys() == arrays[1].keys()
            assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
        elif file.suffix not in (".sqlite-wal", ".sqlite-shm"):
            text = [(run / file).read_bytes() for run in (one, other)]
            if file.suffix == ".jsonl" and not in_order:
                text = [b"".join(sorted(each.splitlines())) for each in text]
            assert text[0] == text[1], file
    left = [json.loads((run / "run.json").read_text()) for run in (one, other)]
    for name in ("clusters", "notes", "fallbacks", "attempts", "result", "config"):
        assert left[0][name] == left[1][name], name


def calls(out: Path) -> int:
    return sum(json.loads(line)["calls"] for line in lines(out / "usage.jsonl"))
