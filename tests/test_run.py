import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from agentclust import prompts
from agentclust.config import make_config
from agentclust.errors import DiskError, InputError, RunError
from agentclust.run.opening import create, is_open, must_be_free, open_run
from agentclust.run.record import (
    read_clustering,
    read_left_out,
    read_rows,
    read_samples,
    read_state,
    read_usage,
)
from agentclust.types import Dataset, LeftOut, Sample, Usage
from tests.complaints import complains

SAMPLES = (
    Sample("a/1.png", Path("/data/a/1.png"), "f00d", (4, 3)),
    Sample("b, 2", caption='Two\nlines, and "quotes".'),
    Sample("c", raw_label="cat"),
    Sample("d", Path("/data/d.png"), "beef", (1, 1), caption="Käse 🙂"),
)
DATASET = Dataset("photos", SAMPLES, (LeftOut("notes.txt", "no image"),), "0123")
ROWS = [
    {"id": "a/1.png", "path": "/data/a/1.png", "cluster": 1, "name": "cat", "confidence": 0.75},
    {"id": "b, 2", "path": "", "cluster": -1, "name": "", "confidence": 0.0},
    {"id": "c", "path": "", "cluster": 0, "name": "dog, wet", "confidence": 1.0},
    {"id": "d", "path": "/data/d.png", "cluster": 1, "name": "cat", "confidence": 0.5},
]
NAMES = ["dog, wet", "cat", "cow"]


def config(**settings):
    return make_config({"dataset": "photos", "criterion": "Kind of pet", "llm": "fake"} | settings)


@pytest.fixture
def folder(tmp_path):
    """A run that was begun."""
    with create(tmp_path / "run", config(), DATASET):
        pass
    return tmp_path / "run"


@pytest.fixture
def finished(folder):
    with open_run(folder) as run:
        run.export(ROWS, NAMES)
        run.update(status="done")
    return folder


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# beginning


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
def full_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=32k", "none", str(folder))
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    (folder / "ballast").write_bytes(bytes(32 * 1024))
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


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


# one process at a time

HOLD = """
import sys, time
from pathlib import Path
from agentclust.run.opening import open_run
with open_run(Path(sys.argv[1])) as run:
    run.step_rows("captions").append({"id": "held"})
    run.update(status="running")
    print("open", flush=True)
    time.sleep(60)
"""


def test_two_processes_on_one_run(folder):
    with subprocess.Popen((sys.executable, "-c", HOLD, folder), stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"open\n"
            assert is_open(folder)
            with complains(
                f"{folder}: another process is working on this run; wait for it, or stop it",
                kind=RunError,
            ):
                open_run(folder)
            assert read_state(folder)["status"] == "running"  # reading needs no lock
            assert list(read_rows(folder, "captions")) == ["held"]
        finally:
            child.send_signal(signal.SIGKILL)
    # the lock of a killed process is nobody's
    assert not is_open(folder)
    with open_run(folder) as run:
        assert list(run.step_rows("captions").known) == ["held"]
        run.step_rows("captions").append({"id": "more"})
    assert list(read_rows(folder, "captions")) == ["held", "more"]


def test_a_run_that_is_open_is_not_opened_again(folder):
    with open_run(folder):
        assert is_open(folder)
        with complains("another process is working on this run", kind=RunError):
            open_run(folder)
    assert not is_open(folder)
    with open_run(folder):
        pass


def test_what_fails_to_open_is_not_locked(folder):
    text = (folder / "run.json").read_text("utf-8")
    (folder / "run.json").write_text(text.replace("kind of pet", " ").replace("Kind of pet", " "))
    with complains("run.json: does not hold the settings of a run; restore the file"):
        open_run(folder)
    (folder / "run.json").write_text(text)
    with open_run(folder):
        pass


# going on


def test_rows_go_on_where_they_stopped(folder):
    with open_run(folder) as run:
        run.step_rows("captions").append({"id": "a", "caption": "A cat."})
        run.rows("messages.jsonl").append({"id": "1"})
    file = folder / "01-kind-of-pet" / "captions.jsonl"
    file.write_bytes(file.read_bytes() + b'{"id": "b", "capt')
    assert list(read_rows(folder, "captions")) == ["a"]
    with open_run(folder) as run:
        rows = run.step_rows("captions")
        assert list(rows.known) == ["a"]
        assert run.step_rows("captions") is rows
        rows.append({"id": "c", "caption": "A dog."})
    assert list(read_rows(folder, "captions")) == ["a", "c"]
    assert read_rows(folder, "labels") == {}
    assert "messages.jsonl" in files(folder)


def test_the_state_is_changed_at_once(folder):
    with open_run(folder) as run:
        run.update(status="failed", reason="a test")
        run.note("One.")
        run.note("Two.")
        run.note("One.")
        assert read_state(folder)["status"] == "failed"
    state = read_state(folder)
    assert (state["reason"], state["notes"]) == ("a test", ["One.", "Two."])


def test_json_of_an_attempt(folder):
    with open_run(folder) as run:
        assert run.read("clusters.json") is None
        run.write("clusters.json", {"names": ["Käse"]})
        assert run.read("clusters.json") == {"names": ["Käse"]}
        assert run.attempt == folder / "01-kind-of-pet"
    assert "01-kind-of-pet/clusters.json" in files(folder)


def test_the_ledger_adds_up_over_sessions(folder):
    with open_run(folder) as run:
        run.record("label", Usage(1, 10, 4, 2, 0.5))
        run.record("label", Usage(1, 10, 4, 2, 0.25))
    with (folder / "usage.jsonl").open("ab") as stream:
        stream.write(b'{"step": "la')
    with open_run(folder) as run:
        run.record("label", Usage(1, 1, 0, 1, 0.25))
        run.record("assign", Usage(2, 5, 5, 5, 1))
        assert run.usage() == {"label": Usage(3, 21, 8, 5, 1.0), "assign": Usage(2, 5, 5, 5, 1.0)}
    assert read_usage(folder)["label"].calls == 3


def test_threads_share_the_rows_of_a_file(folder):
    with open_run(folder) as run:
        for turn in range(20):
            together = threading.Barrier(8)
            found = []

            def work(name=f"{turn}.jsonl", together=together, found=found):
                together.wait()
                found.append(run.rows(name))

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(set(map(id, found))) == 1


# templates


def mine(folder, text="Sort {{ caption }} by {{ criterion }}."):
    folder.mkdir(exist_ok=True)
    fields = {"name": "label", "version": 7, "description": "", "system": "", "user": text}
    fields["variables"] = ["criterion", "caption"]
    (folder / "label.yaml").write_text(yaml.safe_dump(fields))
    return folder


def test_a_run_keeps_a_copy_of_its_templates(tmp_path):
    folder, own = tmp_path / "run", mine(tmp_path / "mine")
    with create(folder, config(prompts=own), DATASET) as run:
        assert run.template("label").version == 7
        ours = run.template("names")
    kept = read_state(folder)["prompts"]
    assert kept["label"] == {"version": 7, "sha256": prompts.load("label", own).sha256}
    assert kept["names"] == {"version": ours.version, "sha256": ours.sha256}
    assert {"prompts/label.yaml", "prompts/names.yaml"} <= set(files(folder))
    mine(own, "{{ caption }}, {{ criterion }}?")
    with open_run(folder) as run:
        assert run.template("label").user == "Sort {{ caption }} by {{ criterion }}."


def test_a_copy_that_was_changed_is_not_used(folder):
    with open_run(folder) as run:
        run.template("label")
    copy = folder / "prompts" / "label.yaml"
    text = copy.read_text("utf-8")
    copy.write_text(text.replace("label", "mark", 2), "utf-8")
    with open_run(folder) as run, complains("label.yaml: "):
        run.template("label")
    copy.write_text(text.replace("You sort", "You order"), "utf-8")
    with open_run(folder) as run, complains("label.yaml: was changed", "restore it, or start"):
        run.template("label")
    copy.write_text(text, "utf-8")
    with open_run(folder) as run:
        run.template("label")


def test_a_folder_of_templates_that_is_gone(tmp_path):
    own = mine(tmp_path / "mine")
    with create(tmp_path / "run", config(prompts=own), DATASET) as run:
        run.template("label")
    own.rename(tmp_path / "moved")
    with open_run(tmp_path / "run") as run:
        run.template("label")
        with complains("mine: is not a folder"):
            run.template("names")


# the result


def test_the_result_comes_back(finished):
    table = (finished / "assignments.csv").read_text("utf-8")
    assert table.splitlines()[0] == "id,path,cluster,name,confidence"
    found = read_clustering(finished)
    assert found.table() == ROWS
    assert found.sizes() == {"dog, wet": 1, "cat": 2, "cow": 0}
    assert (found.criterion, found.method, found.run) == ("Kind of pet", "ictc", finished)
    assert found.labels_.dtype == np.int64
    assert found.confidences.tolist() == [0.75, 0.0, 1.0, 0.5]
    assert (len(found), found.n_clusters) == (4, 3)
    assert str(found).splitlines() == [
        "4 images by 'Kind of pet': 3 clusters",
        "     1  dog, wet",
        "     2  cat",
        "     0  cow",
        "     1  unassigned",
    ]


def test_a_run_without_a_result(folder):
    with complains("has no result yet (status: waiting); agentclust resume"):
        read_clustering(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.75", "much"),
        (",1,cat,", ",one,cat,"),
        (",1,cat,", ",3,cat,"),
        ("cluster,name", "group,name"),
        ("id,path", "name,path"),
        ('"b, 2",,-1,,0.0', '"b, 2"'),
    ],
)
def test_a_result_that_was_damaged(finished, old, new):
    table = finished / "assignments.csv"
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new), "utf-8")
    with complains("assignments.csv: is damaged (", "restore the file"):
        read_clustering(finished)


def test_a_result_that_is_not_utf8(finished):
    (finished / "assignments.csv").write_bytes(b"id,path,cluster,name,confidence\nK\xe4,,0,x,1\n")
    with complains("assignments.csv: is damaged ("):
        read_clustering(finished)


# what is no run


@pytest.mark.parametrize("look", [read_state, open_run, read_clustering])
def test_what_is_no_run(tmp_path, look):
    for folder in (tmp_path, tmp_path / "no"):
        with complains(f"{folder}: is no run directory (no run.json); pass the folder of a run"):
            look(folder)
    (tmp_path / "run.json").write_text("[]")
    with complains("is no run directory"):
        look(tmp_path)
    (tmp_path / "run.json").write_text('{"config": {}, "format": 99}')
    with complains(f"{tmp_path}: has format 99, not 2; use a matching agentclust"):
        look(tmp_path)
    (tmp_path / "run.json").write_text('{"config": ')
    with complains("run.json: cannot be read (", "restore the file"):
        look(tmp_path)
    assert files(tmp_path) == ["run.json"]


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_samples_that_are_missing(folder, keep):
    file = folder / "samples.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:keep]))
    with complains(f"samples.jsonl: is damaged ({keep} samples, where run.json says 4)"):
        read_samples(folder)


def test_samples_that_are_damaged(folder):
    file = folder / "samples.jsonl"
    file.write_text(file.read_text("utf-8").replace("sha256", "sha"), "utf-8")
    with complains("samples.jsonl: is damaged (no 'sha256')"):
        read_samples(folder)
    file.unlink()
    with complains("samples.jsonl: is damaged ("), open_run(folder) as run:
        run.samples()


def test_errors_of_a_call_and_of_a_run_have_their_status():
    assert (InputError.exit_status, RunError.exit_status) == (2, 1)
