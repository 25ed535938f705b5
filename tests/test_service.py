"""Runs from start to result, as the command line, the page and Python callers start them."""

from __future__ import annotations

import csv
import html
import json
from collections import Counter
from pathlib import Path

import pytest

from agentclust import pages, service
from agentclust.config import make_config
from agentclust.errors import InputError, ModelError, RunError
from agentclust.progress import Reporter
from agentclust.run.opening import is_open, open_run
from tests.plugged import manifest, noted, pictures

RECORDING = "tests.plugged:Recording"
COLOURS = "tests.plugged:Colours"
CAPTIONS = ["a ball", "a cone", "a small ball", "a cone", "a ball", "a sofa"]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The file of what the plugged-in parts were asked."""
    monkeypatch.setenv("ASKED", str(tmp_path / "asked.jsonl"))
    return tmp_path / "asked.jsonl"


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


# several criteria


def test_criteria_share_the_captions_of_a_captioner(tmp_path, asked):
    folder = pictures(tmp_path / "pictures", "rgrgr")
    found = start(folder, tmp_path / "runs", "colour", "mood of the day", vlm=COLOURS)
    assert [c.run for c in found] == [tmp_path / "runs/colour", tmp_path / "runs/mood-of-the-day"]
    assert Counter(row["captioned"] for row in noted(asked)) == {
        f"secret{i}.png": 1 for i in range(5)
    }
    for one in found:
        assert state(one.run)["status"] == "done"
        assert len((one.run / state(one.run)["attempt"] / "captions.jsonl").read_text().split()) > 5


def test_a_vlm_is_asked_for_each_criterion(tmp_path, asked):
    folder = pictures(tmp_path / "pictures", "rgr")
    settings = {"vlm": RECORDING, "n_clusters": "auto", "method": "ictc"}
    with pytest.raises(RunError):  # the fake model sees nothing: all captions are the same
        start(folder, tmp_path / "runs", "colour", "mood", **settings)
    with pytest.raises(RunError):
        service.resume(tmp_path / "runs/mood", Reporter(quiet=True))
    seen = [row for row in noted(asked) if not isinstance(row["human"], str)]
    assert len(seen) == 6
    assert len({row["digest"] for row in seen}) == 6
    assert Counter("mood" in row["human"][1]["text"] for row in seen) == {True: 3, False: 3}


def test_criteria_wait_for_each_other_and_resume_goes_on_with_all(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    with pytest.raises(RunError, match="resume the run with a larger --max-calls"):
        start(file, tmp_path / "runs", "shape", "kind", llm=RECORDING, method="ictc", max_calls=2)
    first, second = (tmp_path / "runs" / name for name in ("shape", "kind"))
    assert (state(first)["status"], state(second)["status"]) == ("failed", "waiting")
    assert pages.show(second)["clusters"] == []
    found = service.resume(tmp_path / "runs", Reporter(quiet=True), max_calls=100)
    assert {c.criterion for c in found} == {"shape", "kind"}
    digests = [row["digest"] for row in noted(asked)]
    assert len(digests) == len(set(digests))


def test_criteria_share_one_budget_of_calls(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "alone", llm=RECORDING, method="ictc", cache=False)
    once = len(noted(asked))
    with pytest.raises(RunError, match=f"max_calls={once + 2}"):
        start(file, tmp_path / "runs", "shape", "kind", llm=RECORDING, method="ictc", cache=False,
              max_calls=once + 2)  # fmt: skip
    assert len(noted(asked)) == 2 * once + 2
    statuses = [state(tmp_path / "runs" / name)["status"] for name in ("shape", "kind")]
    assert statuses == ["done", "failed"]
    with pytest.raises(InputError, match="max_calls=0"):
        service.resume(tmp_path / "runs/kind", Reporter(quiet=True), max_calls=0)
    service.resume(tmp_path / "runs", Reporter(quiet=True), max_calls=once)
    assert len(noted(asked)) == 3 * once


def test_criteria_of_the_agent_share_a_budget_and_all_have_a_result(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "alone", llm=RECORDING, cache=False)
    once = len(noted(asked))
    both = {"llm": RECORDING, "cache": False, "max_calls": once + 2}
    found = start(file, tmp_path / "runs", "shape", "kind", **both)
    assert [c.criterion for c in found] == ["shape", "kind"]
    assert len(noted(asked)) == 2 * once + 2
    first, second = (tmp_path / "runs" / name for name in ("shape", "kind"))
    went_on(first)
    fell_back(second, f"max_calls={once + 2}")
    service.resume(tmp_path / "runs", Reporter(quiet=True), max_calls=once)
    assert len(noted(asked)) == 3 * once
    went_on(second)


def test_two_criteria_of_one_folder_are_refused(tmp_path):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    with pytest.raises(InputError, match="word the criteria apart"):
        start(file, tmp_path / "runs", "Mood", "mood!")


# what a model is told


@pytest.mark.parametrize("mode", ["default", "paper"])
def test_no_prompt_holds_a_name_a_path_or_an_id(tmp_path, asked, mode):
    folder = pictures(tmp_path / "hidden folder", "rgrg")
    rows = [
        {"id": f"private{i}", "file": f"{folder.name}/secret{i}.png", "truth": "concealed"}
        for i in range(4)
    ]
    texts = ["a sphere", "a cone"] * 3
    rows += [{"id": f"private{i}", "caption": text} for i, text in enumerate(texts, 4)]
    rows += [{"id": "private-label", "caption": "it is a cone", "raw_label": "cone"}]
    file = tmp_path / "listing.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        start(file, tmp_path / "run", vlm=RECORDING, llm=RECORDING, mode=mode,
              paper_min_count=0)  # fmt: skip
    except RunError:
        assert mode == "paper"  # the fake model gives no list there
    prompts = noted(asked)
    assert sum(not isinstance(row["human"], str) for row in prompts) == 4
    assert len(prompts) > 6
    for row in prompts:
        text = json.dumps(row | {"digest": ""})
        for secret in ("secret", "private", "hidden", "listing", "concealed", "truth", ".png",
                       str(tmp_path)):  # fmt: skip
            assert secret not in text


def test_a_picture_travels_without_its_metadata(tmp_path, asked):
    import base64
    import io

    from PIL import Image, PngImagePlugin

    (tmp_path / "pictures").mkdir()
    told = PngImagePlugin.PngInfo()
    told.add_text("Description", "concealed truth")
    exif = Image.Exif()
    exif[0x010E] = "concealed truth"
    for i in range(2):
        picture = Image.new("RGB", (8 + i, 8), "red")
        picture.save(tmp_path / f"pictures/a{i}.png", pnginfo=told, exif=exif)
        picture.save(tmp_path / f"pictures/b{i}.jpg", exif=exif, comment=b"concealed truth")
    with pytest.raises(RunError):
        start(tmp_path / "pictures", tmp_path / "run", vlm=RECORDING, method="ictc")
    urls = [row["human"][0]["image_url"]["url"] for row in noted(asked)]
    assert len(urls) == 4
    for url in urls:
        data = base64.b64decode(url.partition(",")[2])
        assert b"concealed" not in data
        with Image.open(io.BytesIO(data)) as sent:
            assert not sent.getexif()


# what ends a run


def test_nothing_is_begun_with_a_wrong_call(tmp_path):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    for settings in (
        {"llm": "fakee"},
        {"llm": "llama-cpp:nowhere.gguf"},
        {"n_clusters": 7},
        {"method": "guessing"},
        {"prompts": tmp_path / "nowhere"},
    ):
        with pytest.raises(InputError):
            start(file, tmp_path / "run", **settings)
        assert not (tmp_path / "run").exists(), settings


def test_a_failed_run_says_why_and_keeps_what_was_paid(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    with pytest.raises(RunError):
        start(file, tmp_path / "run", llm=RECORDING, method="ictc", max_calls=3)
    about = state(tmp_path / "run")
    assert about["status"] == "failed"
    assert "budget" in about["reason"]
    assert "--max-calls" in about["reason"]
    assert len(noted(asked)) == 3
    assert len((tmp_path / "run/usage.jsonl").read_text().splitlines()) == 3
    shown = pages.show(tmp_path / "run")
    assert shown["usage"]["calls"] == 3
    assert shown["clusters"] == []
    [found] = service.resume(tmp_path / "run", Reporter(quiet=True), max_calls=50)
    assert found.sizes() == {"ball": 3, "cone": 2}
    assert state(tmp_path / "run")["reason"] == ""
    assert len({row["digest"] for row in noted(asked)}) == len(noted(asked))


def test_a_model_that_refuses_everything_fails_the_run(tmp_path):
    file = manifest(tmp_path / "m.jsonl", [f"forbidden thing {i}" for i in range(30)])
    with pytest.raises(ModelError, match="against its policy"):
        start(file, tmp_path / "run", llm="tests.plugged:Refusing", method="ictc")
    assert state(tmp_path / "run")["status"] == "failed"


def test_an_agent_that_is_cut_short_falls_back_and_goes_on(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "whole", llm=RECORDING, cache=False)
    whole = len(noted(asked))
    asked.unlink()
    start(file, tmp_path / "run", llm=RECORDING, cache=False, max_calls=3)
    fell_back(tmp_path / "run", "max_calls=3: the budget of model calls is spent")
    assert pages.show(tmp_path / "run")["usage"]["calls"] == 3 == len(noted(asked))
    [found] = service.resume(tmp_path / "run", Reporter(quiet=True), max_calls=50)
    assert found.sizes() == {"ball": 3, "cone": 2}
    went_on(tmp_path / "run")
    assert len({row["digest"] for row in noted(asked)}) == len(noted(asked)) == whole


def test_an_agent_whose_model_refuses_everything_falls_back(tmp_path):
    file = manifest(tmp_path / "m.jsonl", [f"forbidden thing {i % 3}" for i in range(30)])
    start(file, tmp_path / "run", llm="tests.plugged:Refusing")
    fell_back(tmp_path / "run", "against its policy")


def test_without_the_cache_the_run_keeps_its_answers_itself(tmp_path, asked, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("AGENTCLUST_HOME", str(home))
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    settings = {"llm": RECORDING, "method": "ictc", "cache": False}
    with pytest.raises(RunError):
        start(file, tmp_path / "run", max_calls=3, **settings)
    assert not home.exists()
    service.resume(tmp_path / "run", Reporter(quiet=True), max_calls=50)
    once = len(noted(asked))
    assert len({row["digest"] for row in noted(asked)}) == once
    start(file, tmp_path / "again", **settings)  # and other runs do not see them
    assert len(noted(asked)) == 2 * once


def test_with_the_cache_a_second_run_pays_nothing(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    [first] = start(file, tmp_path / "run", llm=RECORDING)
    once = len(noted(asked))
    [second] = start(file, tmp_path / "again", llm=RECORDING)
    assert len(noted(asked)) == once > 0
    assert pages.show(second.run)["usage"]["calls"] == 0
    assert (first.labels_ == second.labels_).all()


def test_a_finished_run_is_not_run_again(tmp_path, asked):
    file = manifest(tmp_path / "m.jsonl", CAPTIONS)
    start(file, tmp_path / "run", llm=RECORDING)
    once = len(noted(asked))
    (tmp_path / "run/report.html").unlink()  # as if the process had been killed before the page
    service.resume(tmp_path / "run", Reporter(quiet=True))
    assert len(noted(asked)) == once
    assert (tmp_path / "run/report.html").exists()


# folders


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
