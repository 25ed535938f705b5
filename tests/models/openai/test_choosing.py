"""Choices, in whatever way an endpoint takes them."""

import gc

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from agentclust.models import schema
from agentclust.models.schema import choose_by_schema
from agentclust.types import Choice, Refusal, Request, Usage
from tests.models.openai.asking import OPTIONS, asker, choose
from tests.models.stub_endpoint import (
    Stub,
    completion,
    failure,
    oblige,
    options_of,
    text_of,
)


def test_the_tokens_probabilities_become_the_options():
    with Stub() as stub:
        choice = choose(stub)
    assert choice.probabilities == pytest.approx((0.25, 0.0, 0.75), abs=1e-5)
    assert choice.usage.calls == 1
    assert (choice.usage.prompt_tokens, choice.usage.cached_prompt_tokens) == (7, 2)
    body = stub.requests[0]
    assert body["response_format"]["json_schema"]["strict"] is True
    assert options_of(body) == OPTIONS
    assert body["logprobs"] is True


def refusing(status, *names):
    """An endpoint that refuses parameters by name: json_schema, json_object or logprobs."""

    def plan(body):
        form = (body.get("response_format") or {}).get("type")
        for name in names:
            if name == form or name in body:
                return failure(status, f"unknown parameter {name}")
        if not form:  # a plain instruction
            return completion('Sure! {"answer": "blue"}')
        return oblige(body)

    return plan


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize(
    ("refused", "searches", "form", "certain"),
    [
        (["logprobs"], 2, "json_schema", True),
        (["json_schema"], 3, "json_object", False),
        (["json_schema", "logprobs"], 4, "json_object", True),
        (["json_schema", "json_object"], 5, None, True),
    ],
)
def test_the_way_an_endpoint_takes_is_found_once(status, refused, searches, form, certain):
    with Stub(refusing(status, *refused)) as stub:
        one = asker(stub)
        first = next(one.choose([Request("s", "the blue one")], OPTIONS))[1]
        asked = len(stub.requests)
        second = next(one.choose([Request("s", "again the blue one")], OPTIONS))[1]
    assert first.probabilities == second.probabilities
    assert first.best == 2
    assert (max(first.probabilities) == 1) == certain
    assert first.usage.calls == searches
    # a 500 may pass, so it is asked again
    assert asked == (2 * (searches - 1) + 1 if status == 500 else searches)
    assert len(stub.requests) == asked + 1
    assert (stub.requests[-1].get("response_format") or {}).get("type") == form


def test_many_threads_search_once():
    with Stub(refusing(422, "json_schema")) as stub:
        requests = [Request("s", f"{i} is blue") for i in range(20)]
        choices = dict(asker(stub, concurrency=8).choose(requests, OPTIONS))
    assert {choice.best for choice in choices.values()} == {2}
    assert len(stub.requests) == 22


def test_an_endpoint_that_ignores_the_schema_is_told_in_words():
    def plan(body):
        told = "exactly one of" in text_of(body)
        return completion('{"answer": "blue"}' if told else "It is as blue as the sea.")

    with Stub(plan) as stub:
        one = asker(stub)
        choices = [next(one.choose([Request("s", str(i))], OPTIONS))[1] for i in range(2)]
    assert [choice.best for choice in choices] == [2, 2]
    assert len(stub.requests) == 4


def test_an_outage_does_not_change_the_way():
    with Stub((failure(503, "later"), failure(503, "later"), oblige)) as stub:
        choice = choose(stub, max_retries=3)
    assert choice.best == 2
    assert stub.requests[-1]["logprobs"] is True
    assert stub.requests[-1]["response_format"]["type"] == "json_schema"


def test_a_request_that_no_way_answers_is_refused_alone():
    def plan(body):
        bad = "bad" in text_of(body)
        return failure(400, "content filter") if bad else oblige(body)

    with Stub(plan) as stub:
        requests = [Request("s", "bad"), Request("s", "the blue one")]
        answers = dict(asker(stub, concurrency=1).choose(requests, OPTIONS))
    assert isinstance(answers[0], Refusal)
    assert answers[1].probabilities == pytest.approx((0.25, 0.0, 0.75), abs=1e-5)


@pytest.mark.parametrize("said", ["blue", " Blue ", "'blue'", '{"answer": "BLUE"}', "blue."])
def test_case_and_quotes_around_an_answer_do_not_matter(said):
    with Stub((completion(said),)) as stub:
        assert choose(stub).probabilities == (0.0, 0.0, 1.0)


def test_an_answer_outside_the_options_gets_one_more_try():
    outside = completion('{"answer": "purple"}')
    with Stub((outside, oblige)) as stub:
        choice = choose(stub)
    assert choice.best is not None
    assert choice.usage.calls == 2
    assert choice.usage.prompt_tokens == 14
    assert "purple" in stub.requests[1]["messages"][-2]["content"]
    assert "none of the options" in stub.requests[1]["messages"][-1]["content"]


def test_an_answer_outside_the_options_twice_is_no_answer():
    with Stub((completion('{"answer": "purple"}'),)) as stub:
        choice = choose(stub)
    assert choice == Choice((), choice.usage)
    assert choice.best is None
    assert choice.usage.calls == len(stub.requests) == 2


def test_an_empty_answer_is_no_answer_and_says_nothing_of_the_way():
    with Stub((completion(None), completion(""), oblige)) as stub:
        one = asker(stub)
        assert next(one.choose([Request("s", "a")], OPTIONS))[1].probabilities == ()
        assert next(one.choose([Request("s", "the blue one")], OPTIONS))[1].best == 2
    assert stub.requests[-1]["response_format"]["type"] == "json_schema"


def test_options_may_hold_quotes_and_any_script():
    options = ['a "b" \\ c', "красный", "赤い", "naïve"]
    with Stub() as stub:
        for i, said in enumerate(["a 'b' / c", *options[1:]]):
            choice = choose(stub, f"the {said} one", options)
            assert choice.best == i
            assert sum(choice.probabilities) == pytest.approx(1)
    assert options_of(stub.requests[0])[0] == "a 'b' / c"


class Other(BaseChatModel):
    """A provider of its own that knows no schema: answers with what the prompt ends in."""

    @property
    def _llm_type(self):
        return "other"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        told = messages[-1].text.rpartition("exactly one of: ")[2]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(told.split(", ")[0]))])


class Structured(Other):
    """A provider that has its own way to structured output."""

    def with_structured_output(self, schema, *, include_raw=False, **kwargs):
        assert include_raw
        self.bind(schema=schema)

        def answer(messages):
            raw = AIMessage("", usage_metadata=usage)
            return {"raw": raw, "parsed": {"answer": schema["properties"]["answer"]["enum"][1]}}

        from langchain_core.runnables import RunnableLambda

        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
        return RunnableLambda(answer)


def test_other_providers_use_their_own_structured_output():
    choice = choose_by_schema(Structured(), [HumanMessage("x")], OPTIONS)
    assert choice == Choice((0.0, 1.0, 0.0), Usage(1, 5, 0, 2))


def test_a_provider_without_structured_output_is_told_in_words():
    choice = choose_by_schema(Other(), [HumanMessage("x")], OPTIONS)
    assert choice.probabilities == (1.0, 0.0, 0.0)


def test_what_was_found_is_forgotten_with_the_model():
    model = Other()
    choose_by_schema(model, [HumanMessage("x")], OPTIONS)
    assert id(model) in schema._found
    number = id(model)
    del model
    gc.collect()
    assert number not in schema._found
