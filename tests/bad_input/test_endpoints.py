"""What an endpoint's faults come to."""

from __future__ import annotations

import json

import pytest

from tests import outside
from tests.bad_input.ending import at, failed, fell_back
from tests.endpoint import as_fake
from tests.models.stub_endpoint import Answer, Stub, failure
from tests.service.starting import state


def test_an_endpoint_that_refuses(folder):
    ended = outside.run(*at("http://127.0.0.1:9/v1"), cwd=folder)
    failed(folder, ended, "http://127.0.0.1:9/v1: refuses the connection")


def test_an_endpoint_that_hangs(folder):
    with Stub(lambda body: Answer(b"", delay=None)) as stub:
        ended = outside.run(*at(stub.base_url), cwd=folder)
    failed(folder, ended, "no answer within 0.5 s")


@pytest.mark.parametrize(
    "garbage",
    [
        Answer(b"<html><body>Welcome</body></html>", content_type="text/html"),
        Answer(b'{"choices": [{"mess'),
        Answer(b"{}"),
        Answer(b""),
        Answer(b'{"choices": [{"message": {}}]}'),
        Answer(b"\xff\xfe\x00"),
    ],
    ids=lambda answer: repr(answer.body[:30]),
)
def test_an_endpoint_that_answers_garbage(folder, garbage):
    with Stub(lambda body: garbage) as stub:
        ended = outside.run(*at(stub.base_url), cwd=folder)
        failed(folder, ended, "")


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key"), (404, "no such model"),
                                              (500, "status 500"), (429, "too many")])  # fmt: skip
def test_an_endpoint_that_answers_with_an_error(folder, status, said):
    with Stub(lambda body: failure(status, "no")) as stub:
        ended = outside.run(*at(stub.base_url), cwd=folder)
        failed(folder, ended, said)


def goes_on_when_it_is_back(folder):
    about = state(folder / "run")
    with Stub(as_fake) as stub:
        about["config"]["llm"]["base_url"] = stub.base_url
        (folder / "run/run.json").write_text(json.dumps(about))
        ended = outside.run("resume", "run", cwd=folder)
    assert ended.status == 0, ended.err
    assert "     3  ball\n" in ended.out


def test_a_run_goes_on_when_the_endpoint_is_back(folder):
    assert outside.run(*at("http://127.0.0.1:9/v1", max_retries=0), cwd=folder).status == 1
    goes_on_when_it_is_back(folder)


def test_an_agent_without_its_endpoint_falls_back_and_goes_on_when_it_is_back(folder):
    ended = outside.run(*at("http://127.0.0.1:9/v1", "agent"), cwd=folder)
    gone = "http://127.0.0.1:9/v1: refuses the connection"
    fell_back(folder, ended, gone)
    fell_back(folder, outside.run("resume", "run", cwd=folder), gone)
    goes_on_when_it_is_back(folder)
    shown = json.loads(outside.run("show", "run", "--json", cwd=folder).out)
    assert (shown["status"], shown["fallbacks"], shown["by"]) == ("done", [], "ictc")
    page = (folder / "run/report.html").read_text("utf-8")
    assert "fell back" not in page
