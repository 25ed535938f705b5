"""Tools are called within their schemas, whatever the weights."""

import json
from contextlib import closing
from typing import Literal

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from pydantic import BaseModel, Field

from agentclust.errors import InputError, RequestRefused
from agentclust.models.gguf.turns import turns_of
from agentclust.models.tool_calls import MAX_TEXT
from tests.models.llama_cpp.prompts import CAPTIONS, make, prompt

tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")


class Cluster(BaseModel):
    """Group the images."""

    method: Literal["k-means", "naïve"]
    n_clusters: int
    words: list[Literal["a", "b"]] = Field(default=[], max_length=3)
    note: str | None = Field(default=None, max_length=20)


class Stop(BaseModel):
    """End the run."""


@pytest.mark.parametrize("seed", range(4))
def test_no_weights_can_write_an_invalid_call(tmp_path, seed):
    path = tiny_gguf.llama(tmp_path / "a.gguf", seed=seed)
    with closing(make(path, temperature=2.0, seed=seed)) as model:
        bound = model.bind_tools([Cluster, Stop], tool_choice="any")
        for caption in CAPTIONS:
            message = bound.invoke(prompt("Act.", caption))
            (call,) = message.tool_calls
            assert message.response_metadata["finish_reason"] == "tool_calls"
            assert call["name"] in ("Cluster", "Stop")
            {"Cluster": Cluster, "Stop": Stop}[call["name"]].model_validate(call["args"])


@pytest.mark.parametrize("choice", [lambda name: {"enum": [name]}, lambda name: {"const": name}])
@pytest.mark.parametrize("name", ['the "red" one', "a\\b", "naïve", 'a \\" b'])
def test_a_text_to_choose_may_hold_what_json_escapes(model, name, choice):
    parameters = {
        "type": "object",
        "properties": {"group": {"type": "string"} | choice(name)},
        "required": ["group"],
    }
    tool = {"name": "split", "description": "Split a group.", "parameters": parameters}
    (call,) = model.bind_tools([tool], tool_choice="any").invoke("Act.").tool_calls
    assert call["args"] == {"group": name}


def test_unbounded_text_in_a_call_ends(tiny):
    class Say(BaseModel):
        text: str

    with closing(make(tiny)) as model:
        bound = model.bind_tools([Say], tool_choice="Say")
        (call,) = bound.invoke("Talk.", max_tokens=700).tool_calls
        assert MAX_TEXT / 2 < len(call["args"]["text"]) <= MAX_TEXT


def test_a_named_tool_is_the_one_that_is_called(model):
    for choice in ("Stop", {"type": "function", "function": {"name": "Stop"}}):
        bound = model.bind_tools([Cluster, Stop], tool_choice=choice)
        (call,) = bound.invoke("Act.").tool_calls
        assert (call["name"], call["args"]) == ("Stop", {})


def test_an_unknown_tool_is_an_error(model):
    with pytest.raises(InputError, match="did you mean 'Stop'"):
        model.bind_tools([Cluster, Stop], tool_choice="Stopp").invoke("Act.")


def test_auto_admits_plain_words_and_calls(tmp_path):
    kinds = set()
    for seed in range(8):
        path = tiny_gguf.llama(tmp_path / f"{seed}.gguf", seed=seed)
        with closing(make(path, temperature=4.0, seed=seed)) as model:
            message = model.bind_tools([Stop]).invoke("Act.", max_tokens=80)
        if message.tool_calls:
            assert message.text == ""
            kinds.add("call")
        else:
            assert message.text[:1] not in ("{", "`", "<")
            kinds.add("words")
    assert "words" in kinds


def test_tools_are_told_and_may_be_off(model):
    plain = model.invoke("Act.", max_tokens=1).usage_metadata["input_tokens"]
    off = model.bind_tools([Cluster], tool_choice="none").invoke("Act.", max_tokens=1)
    told = model.bind_tools([Cluster]).invoke("Act.", max_tokens=1).usage_metadata["input_tokens"]
    assert off.usage_metadata["input_tokens"] == plain < told


def test_a_call_that_does_not_fit_is_refused(model):
    with pytest.raises(RequestRefused, match="longer than 4 tokens"):
        model.bind_tools([Cluster], tool_choice="any").invoke("Act.", max_tokens=4)


def test_calls_and_results_stand_in_the_conversation(model):
    bound = model.bind_tools([Stop], tool_choice="any")
    asked = HumanMessage("Act.")
    call = bound.invoke([asked])
    result = ToolMessage("5 clusters", tool_call_id=call.tool_calls[0]["id"], name="Stop")
    turns, _ = turns_of([asked, call, result])
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert json.loads(turns[1].text) == {"name": "Stop", "arguments": {}}
    assert turns[2].text == "Result of Stop:\n5 clusters"
    again = bound.invoke([asked, call, result])
    assert again.tool_calls[0]["id"] != call.tool_calls[0]["id"]


def test_structured_output(model):
    answer = model.with_structured_output(Cluster).invoke("Two groups.")
    assert isinstance(answer, Cluster)


def test_a_schema_without_a_grammar(model):
    tool = {"name": "odd", "description": "", "parameters": {"type": "what"}}
    with pytest.raises(InputError, match="tool odd: the arguments' schema has no grammar"):
        model.bind_tools([tool], tool_choice="any").invoke("Act.")
