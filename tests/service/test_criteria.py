"""Several criteria of one dataset."""

from __future__ import annotations

from collections import Counter

import pytest

from agentclust import pages, service
from agentclust.errors import InputError, RunError
from agentclust.progress import Reporter
from tests.plugged import manifest, noted, pictures
from tests.service.starting import CAPTIONS, COLOURS, RECORDING, fell_back, start, state, went_on


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
