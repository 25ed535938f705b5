"""Runs on a Ray cluster lose nothing, whoever dies meanwhile."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from agentclust.errors import ModelError
from agentclust.service import Place
from tests.engines import machines
from tests.engines.machines import begun, ended, wait_for_lines
from tests.engines.runs import PATIENT, calls, run, same, settings, words
from tests.pictures import draw

pytestmark = PATIENT


def test_workers_that_are_killed_lose_nothing_and_change_nothing(cluster, captions, tmp_path):
    here = run(settings(captions, llm="fake:0.02"), tmp_path / "here")
    process = begun(*words(captions, tmp_path / "there", "--llm", "fake:0.02", "--engine", "ray",
                           "--address", cluster.address))  # fmt: skip
    file = tmp_path / "there" / "01-thing" / "labels.jsonl"
    for count in (10, 40):
        wait_for_lines(file, count)
        killed = machines.workers(cluster)
        assert killed
        for worker in killed:
            worker.kill()
    status, out, err = ended(process)
    assert status == 0, err
    assert err.count("was lost") >= 2, err
    assert out.startswith("120 images by 'thing': 3 clusters")
    same(here.run, tmp_path / "there")
    assert calls(here.run) == calls(tmp_path / "there")


@pytest.mark.slow
def test_a_task_that_kills_its_workers_ends_the_run(cluster, tmp_path):
    pictures = tmp_path / "pictures"
    for n in range(4):
        draw(pictures / f"{n}.png")
    config = settings(pictures, vlm="tests.engines.parts:Deadly")
    with pytest.raises(ModelError, match="its worker died 3 times at the same task"):
        run(config, tmp_path / "run", Place("ray", cluster.address))
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["status"] == "failed"


@pytest.mark.slow
def test_a_machine_that_dies_loses_nothing_and_changes_nothing(captions, tmp_path):
    here = run(settings(captions, llm="fake:0.05"), tmp_path / "here")
    with machines.nodes(3) as three:
        process = begun(*words(captions, tmp_path / "there", "--llm", "fake:0.05",
                               "--engine", "ray", "--address", three.address))  # fmt: skip
        file = tmp_path / "there" / "01-thing" / "labels.jsonl"
        for count in (20, 60):
            wait_for_lines(file, count)
            node = next(iter(three.worker_nodes))
            three.remove_node(node, allow_graceful=False)
        status, _, err = ended(process)
    assert status == 0, err
    same(here.run, tmp_path / "there")
    assert calls(here.run) == calls(tmp_path / "there")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_killed_run_goes_on_with_either_engine(cluster, captions, tmp_path, engine):
    here = run(settings(captions, llm="fake:0.02"), tmp_path / "here")
    there = ("--engine", "ray", "--address", cluster.address)
    out = tmp_path / "there"
    process = begun(*words(captions, out, "--llm", "fake:0.02", *there))
    wait_for_lines(out / "01-thing" / "labels.jsonl", 30)
    process.kill()
    process.communicate()
    paid = stored(out)
    assert 30 <= paid < calls(here.run)
    status, told, err = ended(begun("resume", out, *(there if engine == "ray" else ())))
    assert status == 0, err
    assert told.startswith("120 images by 'thing': 3 clusters")
    same(here.run, out, in_order=False)  # what was stored and not yet entered comes first
    # a call is entered where it was paid for, and none that was stored is paid for again
    assert calls(out) <= stored(out) == stored(here.run)


def stored(out: Path) -> int:
    with closing(sqlite3.connect(out / "answers.sqlite")) as store:
        return store.execute("SELECT count(*) FROM answers").fetchone()[0]
