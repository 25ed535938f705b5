"""How a run begins, and where none can be."""

import json
from pathlib import Path

import pytest

from agentclust.errors import DiskError
from agentclust.run.opening import create, must_be_free, open_run
from agentclust.run.record import (
    read_left_out,
    read_rows,
    read_samples,
    read_state,
)
from agentclust.types import Dataset, Sample
from tests.complaints import complains
from tests.run.contents import DATASET, NAMES, ROWS, SAMPLES, config, files


def test_what_a_new_run_says_of_itself(folder):
    state = json.loads((folder / "run.json").read_text("utf-8"))
    assert state["format"] == 2
    assert state["status"] == "waiting"
    assert (state["attempt"], state["result"]) == ("01-kind-of-pet", "")
    [first] = state["attempts"]
    assert (first["folder"], first["criterion"], first["by"], first["of"]) == (
        "01-kind-of-pet", "Kind of pet", "ictc", "",
    )  # fmt: skip
    assert state["config"]["criterion"] == "Kind of pet"
    assert state["config"]["llm"]["model"] == "fake"
    assert state["dataset"] == {
        "name": "photos", "n_samples": 4, "left_out": 1, "fingerprint": "0123",
    }  # fmt: skip
    assert state["versions"]["python"].startswith("3.")
    assert state["versions"]["agentclust"]
    assert (state["prompts"], state["notes"], state["fallbacks"]) == ({}, [], [])
    assert state["created"].endswith("+00:00")


def test_the_samples_come_back(folder):
    assert read_samples(folder) == SAMPLES
    assert read_left_out(folder) == DATASET.left_out
    with open_run(folder) as run:
        assert run.samples() == SAMPLES
        assert run.config == config()


def test_the_paths_of_samples_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = Dataset("photos", (Sample("a", Path("photos/a.png"), "f00d", (1, 1)),), (), "")
    with create(tmp_path / "run", config(), dataset) as run:
        assert run.samples()[0].file == tmp_path / "photos" / "a.png"


@pytest.mark.parametrize(
    ("found", "todo"), [("run.json", "resume it"), ("holiday.jpg", "pass another --out")]
)
def test_a_folder_that_holds_something_is_left_alone(tmp_path, found, todo):
    (tmp_path / found).write_text("{}")
    for act in (must_be_free, lambda folder: create(folder, config(), DATASET)):
        with complains(f"{tmp_path}: is not empty; {todo}"):
            act(tmp_path)
    assert files(tmp_path) == [found]


def test_places_where_no_run_can_be(tmp_path):
    (tmp_path / "file").touch()
    with complains("file: is a file, not a folder; pass another --out"):
        create(tmp_path / "file", config(), DATASET)
    with complains("run: cannot be made (Not a directory); pass another --out"):
        create(tmp_path / "file" / "deep" / "run", config(), DATASET)


def test_a_run_that_was_killed_before_it_had_begun_is_begun_anew(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / "samples.jsonl").write_text('{"id": "old"')
    (folder / "run.part").write_text("{")
    with create(folder, config(), DATASET):
        pass
    assert read_samples(folder) == SAMPLES


def test_a_folder_that_was_taken_meanwhile(folder):
    (folder / "run.json").rename(folder / "run.part")
    must_be_free(folder)
    with create(folder, config(), DATASET), complains("is not empty; resume it"):
        create(folder, config(), DATASET)


@pytest.fixture
def full_disk(small_disk):
    folder = small_disk(32)
    (folder / "ballast").write_bytes(bytes(32 * 1024))
    return folder


def test_a_full_disk(full_disk):
    with complains("cannot be written (No space left on device); free the disk", kind=DiskError):
        create(full_disk / "run", config(), DATASET)
    (full_disk / "ballast").unlink()
    with create(full_disk / "run", config(), DATASET) as run:
        (full_disk / "ballast").write_bytes(bytes(1 << 13))
        with complains("assignments.csv: cannot be written", kind=DiskError):
            run.export([row | {"name": "x" * 30_000} for row in ROWS], NAMES)
        with complains("clusters.json: cannot be written", kind=DiskError):
            run.write("clusters.json", {"names": ["x" * 30_000]})
        with complains("captions.jsonl: cannot be written", kind=DiskError):
            run.step_rows("captions").append({"id": "a", "caption": "x" * 30_000})
        (full_disk / "ballast").unlink()
        run.step_rows("captions").append({"id": "a", "caption": "A cat."})
        run.update(status="failed")
    assert read_state(full_disk / "run")["status"] == "failed"
    assert read_rows(full_disk / "run", "captions") == {"a": {"id": "a", "caption": "A cat."}}
    assert not [name for name in files(full_disk) if name.endswith(".part")]
