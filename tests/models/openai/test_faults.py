"""What comes of an endpoint's faults."""

import time
from dataclasses import replace

import pytest
from PIL import Image

from agentclust.cache import Answers
from agentclust.config import ModelConfig
from agentclust.errors import ModelError, RequestRefused, RunError
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.models.faults import mapped
from agentclust.types import Refusal, Request
from tests.models.openai.asking import asker, complete, config
from tests.models.stub_endpoint import Answer, Stub, completion, failure, oblige, text_of

HTML = Answer(b"<html>Not here</html>", content_type="text/html")

FATAL = {
    "garbage": (Answer(b"{not json"), "no chat completion"),
    "html": (HTML, "no chat completion"),
    "empty": (Answer(b""), "no chat completion"),
    "list": (Answer(b"[]"), "no chat completion"),
    "no choices": (Answer(b'{"choices": []}'), "no chat completion"),
    "null choices": (Answer(b'{"choices": null}'), "no chat completion"),
    "null message": (Answer(b'{"choices": [{"message": null}]}'), "no chat completion"),
    "bytes": (Answer(b"\xff\xfe\x00"), "no chat completion"),
    "error in 200": (Answer(b'{"error": {"message": "slow", "code": 429}}'), r"\(slow\)"),
    "401": (failure(401, "bad key"), "OPENAI_API_KEY"),
    "402": (failure(402, "no money"), r"status 402 \(no money\)"),
    "403": (failure(403, "not yours"), "refuses the key"),
    "404": (failure(404, "no model stub"), r"no model stub\); check the model's name"),
    "429": (failure(429, "slow down"), "lower concurrency"),
    "500": (failure(500, "broken"), r"status 500 after 0 retries \(broken\)"),
    "502": (replace(HTML, status=502), "failed with status 502"),
}


@pytest.mark.parametrize(("answer", "said"), FATAL.values(), ids=FATAL.keys())
def test_a_fault_of_the_endpoint_stops_with_one_clear_line(answer, said):
    with Stub((answer,)) as stub, pytest.raises(ModelError, match=said) as caught:
        complete(stub, "x")
    line = str(caught.value)
    assert stub.base_url in line
    assert "\n" not in line
    assert line.count("; ") >= 1
    assert len(line) < 500


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/v1", "refuses the connection"),
        ("http://no-such-host.invalid/v1", "unknown host"),
    ],
)
def test_an_endpoint_that_is_not_there(url, said):
    settings = ModelConfig(model="openai:x", base_url=url, max_retries=0)
    with pytest.raises(ModelError, match=f"{url}: {said}"):
        next(Asker(load_model(settings), settings).complete([Request("s", "u")], 9))


def test_a_wrong_path_and_a_wrong_scheme_say_so():
    with Stub() as stub:
        settings = config(stub).model_copy(update={"base_url": stub.base_url + "/chat"})
        with pytest.raises(ModelError, match="mostly ends in /v1"):
            next(Asker(load_model(settings), settings).complete([Request("s", "u")], 9))


def test_an_endpoint_that_hangs_is_given_up_after_its_retries():
    said = r"no answer within 0\.2 s after 1 retries"
    hanging = replace(completion("late"), delay=None)
    started = time.perf_counter()
    with Stub((hanging,)) as stub, pytest.raises(ModelError, match=said):
        complete(stub, "x", timeout=0.2, max_retries=1)
    assert time.perf_counter() - started < 10
    assert len(stub.requests) == 2


def test_500_forever_ends_after_the_retries():
    broken = failure(500, "broken")
    with Stub((broken,)) as stub, pytest.raises(ModelError, match="after 2 retries"):
        complete(stub, "x", max_retries=2)
    assert len(stub.requests) == 3


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_refused_request_does_not_stop_the_others(status):
    def plan(body):
        bad = "bad" in text_of(body)
        return failure(status, "this picture is not allowed") if bad else oblige(body)

    with Stub(plan) as stub:
        replies = complete(stub, "one", "bad", "three")
    assert [reply.text for reply in (replies[0], replies[2])] == ["one", "three"]
    assert isinstance(replies[1], Refusal)
    assert "this picture is not allowed" in replies[1].reason
    assert len(stub.requests) == 3


def test_an_endpoint_that_refuses_everything_stops_the_run():
    said = "temperature is not supported"
    with Stub((failure(400, said),)) as stub, pytest.raises(ModelError, match=said):
        complete(stub, *(str(i) for i in range(50)), concurrency=2)
    assert len(stub.requests) < 20


def test_a_model_that_thinks_past_its_limit_is_refused():
    with Stub((completion("", finish_reason="length"),)) as stub:
        (refusal,) = complete(stub, "x")
    assert refusal == Refusal("9 tokens of answer ended before its first word")


def test_a_model_that_cannot_see_is_named_as_the_likely_cause(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    said = "can only concatenate str.*may not see images"
    blind = failure(500, "can only concatenate str")
    with Stub((blind,)) as stub, pytest.raises(ModelError, match=said):
        list(asker(stub).complete([Request("s", "u", tmp_path / "a.png", "0")], 9))


def test_an_unreadable_image_is_refused_alone(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with Stub() as stub:
        requests = [Request("s", "u", tmp_path / "a.jpg", "0"), Request("s", "a word")]
        answers = dict(asker(stub).complete(requests, 9))
    assert answers[0] == Refusal("not an image Pillow can read")
    assert answers[1].text == "word"


@pytest.mark.parametrize("error", [RunError("a", "b", "c"), RequestRefused("a", "b", "c")])
def test_our_own_errors_pass(error):
    assert mapped(error, ModelConfig(model="fake")) is error


def test_an_unknown_error_keeps_its_name_and_first_line():
    fault = mapped(RuntimeError("first\nsecond"), ModelConfig(model="anthropic:x"))
    assert isinstance(fault, ModelError)
    assert str(fault).startswith("anthropic:x: RuntimeError: first; ")


def test_answers_are_stored_and_not_paid_for_twice(tmp_path):
    with Stub() as stub:
        answers = Answers(tmp_path / "answers.sqlite")
        for _ in range(2):
            one = Asker(load_model(config(stub)), config(stub), answers)
            assert next(one.complete([Request("s", "a word")], 9))[1].text == "word"
        answers.close()
    assert len(stub.requests) == 1
