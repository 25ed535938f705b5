"""Runs from start to result, as the command line, the page and Python callers start them."""

from __future__ import annotations

import csv
import json

import pytest

from agentclust import pages, service
from agentclust.config import make_config
from agentclust.errors import InputError, RunError
from agentclust.progress import Reporter
from tests.plugged import manifest, pictures
from tests.service.starting import CAPTIONS, COLOURS, start, state

# the run directory


def test_a_run_holds_what_design_promises(tmp_path):
    [found] = start(manifest(tmp_path / "m.jsonl", CAPTIONS), tmp_path / "run")
    folder = tmp_path / "run"
    for name in ("captions.jsonl", "labels.jsonl", "clusters.json", "assignments.jsonl",
                 "scores.json"):  # fmt: skip
        assert (folder / "01-shape" / name).is_file(), name
    with (folder / "assignments.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["id", "path", "cluster", "name", "confidence"]
    assert [row["id"] for row in rows] == [f"id{i}" for i in range(6)]
    assert [row["name"] for row in rows] == ["ball", "cone", "ball", "cone", "ball", ""]
    assert found.sizes() == {"ball": 3, "cone": 2}
    about = state(folder)
    assert about["status"] == "done"
    assert about["format"] == 2
    assert about["result"] == about["attempt"]
    assert about["attempt"] in [attempt["folder"] for attempt in about["attempts"]]
    messages = [json.loads(line) for line in (folder / "messages.jsonl").read_text().splitlines()]
    assert [row["id"] for row in messages] == [f"m{i:04d}" for i in range(len(messages))]
    assert about["config"]["llm"]["model"] == "fake"
    assert about["dataset"]["n_samples"] == 6
    known = {"label", "assign", "names", "fits", "decide"}
    assert {"label", "assign"} <= set(about["prompts"]) <= known
    for name, known in about["prompts"].items():
        assert (folder / "prompts" / f"{name}.yaml").is_file()
        assert len(known["sha256"]) == 64
    assert "ball" in (folder / "report.html").read_text("utf-8")


def test_unreadable_images_are_left_out_and_listed(tmp_path):
    folder = pictures(tmp_path / "pictures", "rgrg")
    (folder / "broken.png").write_bytes((folder / "secret0.png").read_bytes()[:40])
    (folder / "notes.txt").write_text("no picture")
    [found] = start(folder, tmp_path / "run", "colour", vlm=COLOURS)
    assert len(found) == 4
    assert found.sizes() == {"green": 2, "red": 2}
    listed = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().split("\n")
              if line]  # fmt: skip
    reasons = {row["file"]: row["reason"] for row in listed if "reason" in row}
    assert reasons.keys() == {"broken.png", "notes.txt"}
    assert pages.show(tmp_path / "run")["left_out"] == 2
    assert "broken.png" in (tmp_path / "run/report.html").read_text("utf-8")


def test_every_step_shows_how_far_it_is(tmp_path, capsys):
    folder = pictures(tmp_path / "pictures", "rgrg")
    config = make_config(
        {"dataset": str(folder), "criterion": "colour", "n_clusters": 2, "llm": "fake",
         "vlm": COLOURS}
    )  # fmt: skip
    service.start([config], tmp_path / "run", reporter=Reporter(every=0))
    out, err = capsys.readouterr()
    assert out == ""
    for step in ("read", "caption", "label", "assign"):
        assert f"\n{step}: 4 of 4, " in f"\n{err}", err


# evaluate


def test_evaluate_compares_with_labels_of_a_file(tmp_path):
    [found] = start(manifest(tmp_path / "m.jsonl", CAPTIONS), tmp_path / "run")
    labels = tmp_path / "labels.csv"
    rows = zip(found.ids, ("x", "y", "x", "y", "y", "z"), strict=True)
    labels.write_text("id,truth\n" + "".join(f"{i},{name}\n" for i, name in rows))
    scores = service.evaluate(tmp_path / "run", labels).summary()
    assert {"n", "acc", "nmi", "ari", "unassigned", "n_clusters"} <= scores.keys()
    assert (scores["n"], scores["n_clusters"]) == (6, 2)
    assert scores["acc"] == pytest.approx(4 / 6)
    assert pages.show(tmp_path / "run")["evaluation"] == scores


def test_a_run_without_a_result_cannot_be_evaluated(tmp_path):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    with pytest.raises(RunError):
        start(file, tmp_path / "run", method="ictc", max_calls=1)
    for call in (service.evaluate, lambda folder, _: pages.write_report(folder)):
        with pytest.raises(InputError, match="has no result yet"):
            call(tmp_path / "run", file)
