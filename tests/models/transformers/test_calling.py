"""Tools are called within their schemas, whatever the weights."""

import json
from typing import Literal

import pytest
import torch
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field

from agentclust.errors import InputError, RequestRefused
from agentclust.models.tool_calls import MAX_NUMBER, MAX_TEXT, told
from tests.models.transformers.prompts import SYSTEM, USERS, ask, load
from tests.models.transformers.references import CHAT_TEXT, next_logits, text_reference


class Cluster(BaseModel, strict=True, extra="forbid"):
    """Group the images."""

    method: Literal["k-means", "naïve"]
    n_clusters: int = Field(ge=2, le=20)
    words: list[Literal["a", "b"]] = Field(default=[], max_length=3)
    note: str | None = Field(default=None, max_length=20)


class Stop(BaseModel, strict=True, extra="forbid"):
    """End the run."""


TOOLS = {"Cluster": Cluster, "Stop": Stop}


def called(model, users, tools=(Cluster, Stop), choice="any", **how):
    """The calls of a batch, each a valid one."""
    bound = model.bind_tools(list(tools), tool_choice=choice)
    calls = []
    for message in bound.batch([ask(user) for user in users], **how):
        (call,) = message.tool_calls
        assert message.text == ""
        assert message.response_metadata["finish_reason"] == "tool_calls"
        calls.append((call["name"], call["args"]))
    return calls


@pytest.mark.parametrize("kind", ["llama", "llava"])
def test_no_weights_can_write_an_invalid_call(kind, request):
    names = set()
    for seed in range(3):
        model = load(request.getfixturevalue(kind), seed, temperature=2.0, batch_size=3)
        for name, args in called(model, USERS):
            TOOLS[name].model_validate(args)
            names.add(name)
    assert len(names) == 2


def test_a_call_does_not_depend_on_the_batch(llama):
    apart = load(llama, temperature=1.0, batch_size=1)
    together = load(llama, temperature=1.0, batch_size=3)
    calls = called(together, USERS)
    assert calls == called(apart, USERS)
    assert len({str(call) for call in calls}) > 1


def test_a_call_is_written_by_the_likeliest_tokens_that_fit(llama, text_model):
    class Choose(BaseModel):
        """Choose one."""

        option: Literal["red", "bird", "bicycle"]

    ((_, args),) = called(text_model, USERS[:1], [Choose])
    tokenizer, network, _ = text_reference(llama)
    system = f"{SYSTEM}\n\n{told([convert_to_openai_tool(Choose)], must=True)}"
    chat = CHAT_TEXT.format(system=system, user=USERS[0])
    ids = tokenizer.encode(chat, add_special_tokens=False)
    calls = [
        json.dumps({"name": "Choose", "arguments": {"option": option}}) + "<|end|>"
        for option in ("red", "bird", "bicycle")
    ]
    written = ""
    while written not in calls:
        logits = next_logits(network, torch.tensor([ids]), {})
        fits = [
            token
            for token in range(len(tokenizer))
            if any(call.startswith(written + tokenizer.decode([token])) for call in calls)
        ]
        ids.append(max(fits, key=lambda token: logits[token]))
        written += tokenizer.decode(ids[-1:])
    assert json.loads(written.removesuffix("<|end|>"))["arguments"] == args


def test_nothing_unbounded_in_a_call_runs_on(text_model):
    class Say(BaseModel):
        """Say it."""

        text: str
        count: int
        share: float
        words: list[Literal["a"]]

    ((_, args),) = called(text_model, USERS[:1], [Say], max_tokens=800)
    assert MAX_TEXT / 2 < len(args["text"]) <= MAX_TEXT
    assert abs(args["count"]) <= MAX_NUMBER
    assert len(str(args["share"])) < 25
    Say.model_validate(args)


def test_bounds_of_numbers_are_kept(llama):
    class Count(BaseModel):
        """Count."""

        low: int = Field(ge=3, le=5)
        high: int = Field(gt=10, lt=13)
        share: float = Field(ge=0.25, le=0.5)

    for seed in range(3):
        model = load(llama, seed, temperature=2.0, batch_size=3)
        for _, args in called(model, USERS, [Count]):
            Count.model_validate(args)


def test_a_named_tool_is_the_one_that_is_called(text_model):
    for choice in ("Stop", {"type": "function", "function": {"name": "Stop"}}):
        assert called(text_model, USERS[:1], choice=choice) == [("Stop", {})]


def test_an_unknown_tool_is_an_error(text_model):
    for way in ("invoke", "batch"):
        bound = text_model.bind_tools([Cluster, Stop], tool_choice="Stopp")
        with pytest.raises(InputError, match="did you mean 'Stop'"):
            getattr(bound, way)([HumanMessage("Act.")])


def test_auto_admits_plain_words_and_calls(llama):
    kinds = set()
    for seed in range(8):
        model = load(llama, seed, temperature=2.0)
        message = model.bind_tools([Stop]).invoke("Act.", max_tokens=80)
        if message.tool_calls:
            assert message.text == ""
            kinds.add("call")
        else:
            assert message.text[:1] not in ("{", "`", "<")
            kinds.add("words")
    assert "words" in kinds


def test_tools_are_told_and_may_be_off(text_model):
    plain = text_model.invoke("Act.", max_tokens=1).usage_metadata["input_tokens"]
    off = text_model.bind_tools([Cluster], tool_choice="none").invoke("Act.", max_tokens=1)
    on = text_model.bind_tools([Stop]).invoke("Act.", max_tokens=1)
    assert off.usage_metadata["input_tokens"] == plain < on.usage_metadata["input_tokens"]


def test_what_is_told_of_tools_is_read_once(llama):
    bound = load(llama).bind_tools([Cluster, Stop], tool_choice="any")
    first, second = (bound.invoke(ask(user)).usage_metadata for user in USERS[:2])
    assert first["input_token_details"]["cache_read"] == 0
    assert second["input_token_details"]["cache_read"] > second["input_tokens"] / 2


def test_a_call_that_does_not_fit_is_refused_alone(text_model):
    bound = text_model.bind_tools([Cluster], tool_choice="any")
    with pytest.raises(RequestRefused, match="longer than 4 tokens"):
        bound.invoke("Act.", max_tokens=4)
    answers = bound.batch(["Act."], return_exceptions=True, max_tokens=4)
    assert isinstance(answers[0], RequestRefused)


def test_calls_and_results_stand_in_the_conversation(text_model):
    bound = text_model.bind_tools([Stop], tool_choice="any")
    asked = HumanMessage("Act.")
    call = bound.invoke([asked])
    result = ToolMessage("5 clusters", tool_call_id=call.tool_calls[0]["id"], name="Stop")
    turns, _ = text_model._network.form.turns([asked, call, result])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert json.loads(turns[1]["content"]) == {"name": "Stop", "arguments": {}}
    assert turns[2]["content"] == "Result of Stop:\n5 clusters"
    again = bound.invoke([asked, call, result])
    assert again.tool_calls[0]["id"] != call.tool_calls[0]["id"]


def test_structured_output(text_model):
    answer = text_model.with_structured_output(Cluster).invoke("Two groups.")
    assert isinstance(answer, Cluster)


def test_a_schema_without_a_grammar(text_model):
    tool = {"name": "odd", "description": "", "parameters": {"type": "what"}}
    with pytest.raises(InputError, match="tool odd: the arguments' schema has no grammar"):
        text_model.bind_tools([tool], tool_choice="any").invoke("Act.")
