"""What every backend promises to the steps, asked of all of them in the same words."""

import time
from dataclasses import replace

import pytest
from langchain_core.language_models import BaseChatModel

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError, ModelError
from agentclust.models.answering import InProcess
from agentclust.types import Choice, Refusal, Reply, Request
from tests.models.contract.backends import (
    OPTIONS,
    SYSTEM,
    TOO_LONG,
    USERS,
    choose,
    complete,
    loaded,
    prompt,
)
from tests.models.stub_endpoint import Stub, completion, failure, oblige


def test_it_is_a_langchain_chat_model(backend):
    assert isinstance(backend.model, BaseChatModel)
    message = backend.model.invoke(prompt(USERS[0]), max_tokens=8)
    assert message.type == "ai"
    assert isinstance(message.text, str)


def test_text_is_the_same_each_time(backend):
    requests = [Request(SYSTEM, user) for user in USERS]
    first, second = complete(backend, requests), complete(backend, requests[::-1])[::-1]
    assert all(isinstance(reply, Reply) for reply in first)
    assert [reply.text for reply in first] == [reply.text for reply in second]
    assert any(reply.text for reply in first)


def test_a_batch_answers_as_one_by_one(backend):
    together = backend.model.batch([prompt(user) for user in USERS], max_tokens=8)
    alone = [backend.model.invoke(prompt(user), max_tokens=8) for user in USERS]
    assert [message.text for message in together] == [message.text for message in alone]


def test_an_answer_keeps_to_its_length(backend):
    (short,) = complete(backend, [Request(SYSTEM, USERS[1])], max_tokens=2)
    assert short.usage.completion_tokens <= 3  # the stub always counts 3


def test_usage_is_counted(backend):
    replies = complete(backend, [Request(SYSTEM, user) for user in USERS])
    for reply in replies:
        assert reply.usage.calls == 1
        assert reply.usage.prompt_tokens > 0
        assert reply.usage.completion_tokens > 0
        assert 0 <= reply.usage.cached_prompt_tokens <= reply.usage.prompt_tokens
        assert reply.usage.seconds > 0


def test_a_choice_is_a_distribution_over_the_options(backend):
    requests = [Request(SYSTEM, f"{user} Which is it? {OPTIONS}") for user in USERS]
    choices = choose(backend, requests)
    for choice in choices:
        assert isinstance(choice, Choice)
        assert len(choice.probabilities) == len(OPTIONS)
        assert sum(choice.probabilities) == pytest.approx(1)
        assert min(choice.probabilities) >= 0
        assert choice.best in range(len(OPTIONS))
        assert choice.usage.calls >= 1
        assert choice.usage.prompt_tokens > 0
    again = choose(backend, requests)
    for first, second in zip(choices, again, strict=True):
        assert first.best == second.best
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-3)


def test_a_choice_of_one(backend):
    (choice,) = choose(backend, [Request(SYSTEM, USERS[0])], ["only this"])
    assert choice.probabilities == pytest.approx((1.0,))


def test_options_in_any_script(backend):
    options = ['a "quoted" thing', "赤い車", "naïve"]
    (choice,) = choose(backend, [Request(SYSTEM, USERS[0])], options)
    assert sum(choice.probabilities) == pytest.approx(1)


def test_a_model_that_sees_reads_an_image(backend, image):
    if not backend.sees:
        pytest.skip("a text model")
    request = Request(SYSTEM, "What is on the picture?", image, "0")
    (reply,) = complete(backend, [request])
    (choice,) = choose(backend, [request])
    assert isinstance(reply, Reply)
    assert sum(choice.probabilities) == pytest.approx(1)


def test_a_text_model_refuses_an_image_clearly(backend, image):
    if backend.sees:
        pytest.skip("a model that sees")
    request = Request(SYSTEM, "What is on the picture?", image, "0")
    try:
        (answer,) = complete(backend, [request])
    except AgentclustError as error:
        said = str(error)
    else:
        assert isinstance(answer, Refusal)
        said = answer.reason
    assert "image" in said
    assert "\n" not in said


def test_a_request_that_is_too_long_is_refused_alone(backend):
    if not backend.has_window:
        pytest.skip("a model without a limit")
    requests = [Request(SYSTEM, text) for text in (USERS[0], TOO_LONG, USERS[1])]
    first, second, third = complete(backend, requests)
    assert isinstance(second, Refusal)
    assert second.reason
    assert isinstance(first, Reply)
    assert isinstance(third, Reply)


def test_the_cache_knows_where_an_answer_came_from(backend):
    assert isinstance(backend.model, InProcess) == (not backend.config.base_url)
    assert backend.model.fingerprint


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (failure(429, "slow down", "Retry-After: 0.9"), 0.9),
        (failure(429, "slow down"), 0.3),
        (failure(500, "broken"), 0.3),
        (failure(503, "later"), 0.3),
        (replace(completion("late"), delay=None), 0.6),
        (replace(completion("late"), drops=True), 0.3),
    ],
    ids=["429 with Retry-After", "429", "500", "503", "time-out", "lost connection"],
)
def test_an_api_model_tries_again_after_a_wait(fault, wait):
    with Stub((fault, oblige)) as stub:
        url = stub.base_url
        config = ModelConfig(model="openai:stub", base_url=url, max_retries=1, timeout=0.3)
        started = time.perf_counter()
        (reply,) = complete(loaded(config), [Request(SYSTEM, "a word")])
        seconds = time.perf_counter() - started
    assert reply.text == "word"
    assert len(stub.requests) == 2
    assert wait <= seconds < wait + 3


def test_an_api_model_gives_up_in_the_end():
    with Stub((failure(503, "never"),)) as stub:
        config = ModelConfig(model="openai:stub", base_url=stub.base_url, max_retries=1)
        with pytest.raises(ModelError, match="after 1 retries"):
            complete(loaded(config), [Request(SYSTEM, "a word")])
    assert len(stub.requests) == 2
