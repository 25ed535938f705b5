"""Rows, state and templates of a run that goes on."""

import threading

import yaml

from agentclust import prompts
from agentclust.run.opening import create, open_run
from agentclust.run.record import read_rows, read_state, read_usage
from agentclust.types import Usage
from tests.complaints import complains
from tests.run.contents import DATASET, config, files

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
