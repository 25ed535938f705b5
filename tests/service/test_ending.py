"""What ends a run, and what is paid for once."""

from __future__ import annotations

import pytest

from agentclust import pages, service
from agentclust.errors import InputError, ModelError, RunError
from agentclust.progress import Reporter
from tests.plugged import manifest, noted
from tests.service.starting import CAPTIONS, RECORDING, fell_back, start, state, went_on


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
