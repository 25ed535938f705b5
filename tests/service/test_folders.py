"""The folders that runs lie in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentclust import pages, service
from agentclust.errors import InputError, RunError
from agentclust.progress import Reporter
from agentclust.run.opening import is_open, open_run
from tests.plugged import manifest
from tests.service.starting import CAPTIONS, start, state


def test_a_folder_that_holds_something_is_refused(tmp_path):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "run")
    with pytest.raises(InputError, match="resume it"):
        start(file, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/samples.jsonl").write_text("mine")
    with pytest.raises(InputError, match="pass another --out"):
        start(file, tmp_path / "full")
    with pytest.raises(InputError, match="is a file"):
        start(file, file)
    with pytest.raises(InputError, match="cannot be made"):
        start(file, file / "below")
    assert (tmp_path / "full/samples.jsonl").read_text() == "mine"


def test_a_run_is_worked_on_by_one_at_a_time(tmp_path):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "run")
    with open_run(tmp_path / "run") as run:
        run.update(status="running")
        assert is_open(tmp_path / "run")
        assert pages.show(tmp_path / "run")["status"] == "running"
        with pytest.raises(RunError, match="another process is working on this run"):
            service.resume(tmp_path / "run", Reporter(quiet=True))
    assert not is_open(tmp_path / "run")
    assert pages.show(tmp_path / "run")["status"] == "interrupted"


def test_runs_are_found_in_a_folder_of_runs(tmp_path):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "runs", "shape", "kind")
    assert service.runs_in(tmp_path / "runs") == [tmp_path / "runs/kind", tmp_path / "runs/shape"]
    assert service.runs_in(tmp_path / "runs/kind") == [tmp_path / "runs/kind"]
    with pytest.raises(InputError, match="is no run directory"):
        service.runs_in(tmp_path)


def test_a_free_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert service.free_folder(["Mood of it!"]) == Path("runs/mood-of-it")
    Path("runs/mood-of-it").mkdir(parents=True)
    assert service.free_folder(["Mood of it!"]) == Path("runs/mood-of-it-2")
    assert service.free_folder(["a", "b"]) == Path("runs/criteria")


def test_run_json_of_another_format_is_refused(tmp_path):
    start(manifest(tmp_path / "m.jsonl", CAPTIONS), tmp_path / "run")
    about = state(tmp_path / "run")
    (tmp_path / "run/run.json").write_text(json.dumps(about | {"format": 99}))
    for call in (pages.show, service.resume):
        with pytest.raises(InputError, match="format 99"):
            call(tmp_path / "run")
    (tmp_path / "run/run.json").write_text('{"config": ')
    with pytest.raises(InputError, match="cannot be read"):
        pages.show(tmp_path / "run")
