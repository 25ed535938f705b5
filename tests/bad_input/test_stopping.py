"""Two processes, a person who stops one, and a budget that is spent."""

from __future__ import annotations

import json
import signal

from tests import outside
from tests.bad_input.ending import SHAPE, at, failed, fell_back
from tests.models.stub_endpoint import Answer, Stub
from tests.outside import until
from tests.plugged import noted
from tests.service.starting import state

WAITING = {"LATENCY": "600"}


def test_two_processes_on_one_run(folder, monkeypatch):
    monkeypatch.setenv("ASKED", str(folder / "asked"))
    words = ("run", "m.jsonl", *SHAPE, "--llm", "tests.plugged:Recording", "--out", "run")
    first = outside.start(*words, cwd=folder, env=WAITING)
    until(lambda: noted(folder / "asked"))
    second = outside.run("resume", "run", cwd=folder)
    assert second.status == 1
    assert "another process is working on this run" in second.complaint
    third = outside.run(*words, cwd=folder)
    assert third.status == 2
    assert "is not empty; resume it" in third.complaint
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert shown["status"] == "running"
    assert len(noted(folder / "asked")) == 1
    first.signal(signal.SIGKILL)
    assert first.wait().status == -signal.SIGKILL
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["reason"]) == ("interrupted", "its process was ended")
    assert outside.run("resume", "run", cwd=folder).status == 0


def test_ctrl_c_leaves_a_run_to_resume(folder, monkeypatch):
    monkeypatch.setenv("ASKED", str(folder / "asked"))
    words = ("run", "m.jsonl", *SHAPE, "--llm", "tests.plugged:Recording", "--out", "run")
    process = outside.start(*words, cwd=folder, env=WAITING)
    until(lambda: noted(folder / "asked"))
    process.signal(signal.SIGINT)
    ended = process.wait()
    assert ended.status == 130
    assert "interrupted" in ended.complaint
    assert "agentclust resume" in ended.complaint
    assert state(folder / "run")["status"] == "interrupted"
    assert outside.run("resume", "run", cwd=folder).status == 0
    assert state(folder / "run")["status"] == "done"


def test_ctrl_c_does_not_wait_for_an_endpoint(folder):
    with Stub(lambda body: Answer(b"", delay=None)) as stub:
        process = outside.start(*at(stub.base_url, timeout=600), cwd=folder)
        until(lambda: stub.requests)
        process.signal(signal.SIGINT)
        ended = process.wait(timeout=60)
    assert ended.status == 130
    assert ended.complaint
    assert state(folder / "run")["status"] == "interrupted"


def test_a_budget_of_calls_says_how_to_go_on(folder):
    words = ("run", "m.jsonl", *SHAPE, "--method", "ictc", "--max-calls", 3, "--out", "run")
    ended = outside.run(*words, cwd=folder)
    failed(folder, ended, "max_calls=3: the budget of model calls is spent")
    assert "resume the run with a larger --max-calls" in ended.complaint
    assert json.loads(outside.run("show", "run", "--json", cwd=folder).out)["usage"]["calls"] == 3
    assert outside.run("resume", "run", "--max-calls", 100, cwd=folder).status == 0


def test_an_agent_whose_budget_is_spent_falls_back_and_goes_on_with_a_larger_one(folder):
    words = ("run", "m.jsonl", *SHAPE, "--embedder", "tfidf", "--max-calls", 3, "--out", "run")
    ended = outside.run(*words, cwd=folder)
    fell_back(folder, ended, "max_calls=3: the budget of model calls is spent")
    assert json.loads(outside.run("show", "run", "--json", cwd=folder).out)["usage"]["calls"] == 3
    ended = outside.run("resume", "run", "--max-calls", 100, cwd=folder)
    assert ended.status == 0, ended.err
    assert "     3  ball\n" in ended.out
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
