"""What every backend that calls tools promises to the agent."""

from typing import Literal

import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field

from agentclust.models import load_model
from agentclust.types import Call, Request
from tests.models.contract.backends import SYSTEM, prompt


class Count(BaseModel, strict=True, extra="forbid"):
    """Count the things of one colour."""

    colour: Literal["red", "blue"]


class Sort(BaseModel, strict=True, extra="forbid"):
    """Sort them."""

    how: Literal["mood", "Größe"]
    k: int
    share: float
    names: list[Literal["cat", "dog"]] = Field(max_length=2)
    note: str | None = Field(max_length=6)


class Stop(BaseModel, strict=True, extra="forbid"):
    """End the run."""


ACT = ["Act.", "What now?", "Go on."]
TOOLS = {"Count": Count, "Sort": Sort, "Stop": Stop}


def calling(backend, user, tools=(Sort, Stop), choice="any", model=None):
    """The answer of the model with the tools bound."""
    bound = (model or backend.model).bind_tools(list(tools), tool_choice=choice)
    return bound.invoke(prompt(user), max_tokens=200)


def check(message):
    """That the answer is one valid call."""
    (call,) = message.tool_calls
    TOOLS[call["name"]].model_validate(call["args"])
    assert call["id"]
    assert message.text == ""
    assert message.usage_metadata["input_tokens"] > 0
    assert 0 < message.usage_metadata["output_tokens"] <= 200


@pytest.fixture
def caller(backend):
    if not backend.calls:
        pytest.skip("a model that is not kept to a grammar")
    return backend


def test_a_named_tool_is_called(backend):
    if not backend.calls and not backend.calls_named:
        pytest.skip("a model without tools")
    check(calling(backend, "Count the red things.", [Count], "Count"))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_forced_call_has_arguments_of_their_types(caller, tool):
    for user in ACT:
        check(calling(caller, user, [tool]))


def test_a_forced_call_is_one_of_the_tools(caller):
    for user in ACT:
        check(calling(caller, user))


def test_with_auto_there_are_words_or_a_valid_call(caller):
    for user in ACT:
        message = calling(caller, user, choice="auto")
        if message.tool_calls:
            check(message)
        else:
            assert message.text
            assert not message.text.startswith("{")


def test_the_same_seed_gives_the_same_call(caller):
    warm = caller.config.model_copy(update={"temperature": 2.0})
    one, two = load_model(warm, 5), load_model(warm, 5)
    calls = [calling(caller, user, model=one) for user in ACT]
    again = [calling(caller, user, model=two) for user in reversed(ACT)]
    for first, second in zip(calls, reversed(again), strict=True):
        check(first)
        assert first.tool_calls == second.tool_calls


def test_the_asker_gets_the_call_and_its_usage(caller):
    tools = [convert_to_openai_tool(tool) for tool in (Sort, Stop)]
    call = caller.asker().call(Request(SYSTEM, "Stop."), tools)
    assert isinstance(call, Call)
    TOOLS[call.name].model_validate(call.args)
    assert call.usage.calls == 1
    assert call.usage.prompt_tokens > 0
    assert call.usage.completion_tokens > 0
