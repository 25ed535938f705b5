"""Runs on a Ray cluster are those of this process to the byte, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from agentclust import service
from agentclust.config import make_config
from agentclust.progress import Reporter
from agentclust.service import Place
from tests.engines import machines
from tests.engines.machines import begun, ended, lines, wait_for_lines

THINGS = ("car", "bird", "tree", "boat")
OWN = {"usage.jsonl", "run.json", "report.html", "answers.sqlite", ".lock"}  # seconds, times

pytestmark = [
    pytest.mark.timeout(900),  # on a machine that is busy otherwise
    pytest.mark.filterwarnings("ignore::ResourceWarning:ray"),
]


@pytest.fixture(scope="module")
def cluster():
    with machines.nodes(2) as found:
        yield found


@pytest.fixture
def captions(tmp_path):
    """120 captions of four things."""
    random.seed(0)
    rows = [
        {"id": f"s{i}", "caption": f"Number {i} by the sea shows a {random.choice(THINGS)}."}
        for i in range(120)
    ]
    file = tmp_path / "m.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


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


def same(one: Path, other: Path) -> None:
    """Two runs have the same files, but for what tells seconds."""
    files = [f.relative_to(one) for f in sorted(one.rglob("*")) if f.is_file()]
    assert files == [f.relative_to(other) for f in sorted(other.rglob("*")) if f.is_file()]
    compared = [f for f in files if not OWN & {f.name, f.name.partition("-")[0]}]
    assert Path("assignments.csv") in compared
    for file in compared:
        if file.suffix not in (".sqlite-wal", ".sqlite-shm"):
            assert (one / file).read_bytes() == (other / file).read_bytes(), file
    left = [json.loads((run / "run.json").read_text()) for run in (one, other)]
    for name in ("clusters", "notes", "fallbacks", "attempts", "result", "config"):
        assert left[0][name] == left[1][name], name


def calls(out: Path) -> int:
    return sum(json.loads(line)["calls"] for line in lines(out / "usage.jsonl"))


def test_a_run_is_that_of_this_process_to_the_byte(cluster, captions, tmp_path):
    here = run(settings(captions), tmp_path / "here")
    there = run(settings(captions), tmp_path / "there", Place("ray", cluster.address))
    same(here.run, there.run)
    assert calls(here.run) == calls(there.run) > 120


def test_a_worker_that_is_killed_loses_nothing_and_changes_nothing(cluster, captions, tmp_path):
    here = run(settings(captions, llm="fake:0.02"), tmp_path / "here")
    process = begun(*words(captions, tmp_path / "there", "--llm", "fake:0.02", "--engine", "ray",
                           "--address", cluster.address))  # fmt: skip
    file = tmp_path / "there" / "01-thing" / "labels.jsonl"
    for count in (10, 40):
        wait_for_lines(file, count)
        killed = machines.workers(cluster)
        assert killed
        os.kill(killed[0].pid, signal.SIGKILL)
    status, out, err = ended(process)
    assert status == 0, err
    assert err.count("was lost") == 2, err
    assert out.startswith("120 images by 'thing': 3 clusters")
    same(here.run, tmp_path / "there")
    assert calls(here.run) == calls(tmp_path / "there")
