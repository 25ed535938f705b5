import json
import time
from typing import Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from agentclust.config import ModelConfig
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.models.fake import FakeModel, answer
from agentclust.types import Request, Usage
from tests.complaints import complains

NAMES = "Answer with exactly 2 groups, one name a line:"
LABELS = "Labels:\n- cat (40)\n- wild dog (31)\n- cow (2)\n\n"


def prompt(text, system="Sort the images."):
    return [SystemMessage(system), HumanMessage(text)]


def said(model, text, **how):
    return model.invoke(prompt(text), **how).content


def test_a_caption_is_answered_by_its_last_word():
    model = FakeModel()
    assert said(model, "<caption>A Cat sits on the mat.</caption> The label is:") == "mat"
    assert said(model, "A cat, 12 of 3!") == "cat"
    assert said(model, "Käse und Äpfel") == "äpfel"
    assert said(model, "1 2 3") == "something"


def test_counted_labels_are_answered_by_as_many_as_are_asked_for():
    assert answer(LABELS + NAMES) == "cat\nwild dog"
    assert answer(LABELS + "Give the groups.") == "cat\nwild dog\ncow"
    assert answer(LABELS + NAMES.replace("2", "9")) == "cat\nwild dog\ncow"


def test_answers_are_always_the_same():
    one, two = FakeModel(), FakeModel()
    for text in ("A cat.", LABELS + NAMES):
        assert said(one, text) == said(two, text) == said(one, text)


def test_what_stands_in_the_last_tag_counts():
    text = "<label>cat</label><caption>A dog. </caption> Say one word:"
    assert said(FakeModel(), text) == "dog"


def test_a_script_is_given_in_turn_and_again():
    model = FakeModel(script=("one", "two\nthree"))
    assert [said(model, "x") for _ in range(3)] == ["one", "two\nthree", "one"]
    assert said(model, "x", stop=["\n"]) == "two"


def test_images_are_not_looked_at():
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,xxxx"}},
        {"type": "text", "text": "Describe the picture."},
    ]
    assert FakeModel().invoke([HumanMessage(parts)]).content == "picture"


def test_batch():
    replies = FakeModel().batch([prompt("A cat."), prompt("A dog.")])
    assert [reply.content for reply in replies] == ["cat", "dog"]


def test_usage_is_counted_in_words():
    reply = FakeModel().invoke(prompt("A cat sits.", system="One two"))
    assert reply.usage_metadata == {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}
    (choice,) = FakeModel().choose([prompt("A cat sits.", system="One two")], ["cat", "dog"])
    assert choice.usage == Usage(1, 5, 0, 0, 0.0)


# choices


def test_the_option_with_most_words_in_common_is_chosen():
    options = ["cat", "wild cat", "dog", "none of these"]
    texts = ("A wild cat.", "My dog.", "<label>Cat</label> cat or dog?", "A house.")
    choices = FakeModel().choose([prompt(text) for text in texts], options)
    assert [choice.best for choice in choices] == [1, 2, 0, 3]
    for choice in choices:
        assert len(choice.probabilities) == 4
        assert sum(choice.probabilities) == pytest.approx(1)
    assert choices[0].probabilities[0] == pytest.approx(8 / (64 + 8 + 1 + 1))


def test_nothing_in_common_is_no_preference():
    (choice,) = FakeModel().choose([prompt("A house.")], ["cat", "dog"])
    assert choice.probabilities == (0.5, 0.5)


def test_a_script_is_chosen_by_as_well():
    model = FakeModel(script=("the dog", "a cat"))
    choices = model.choose([prompt("x"), prompt("x")], ["cat", "dog"])
    assert [choice.best for choice in choices] == [1, 0]


# tools


class Part(BaseModel):
    names: list[str]


class Sort(BaseModel, strict=True):
    """Put the pictures into groups."""

    how: Literal["mood", "colour"]
    k: int = Field(ge=2)
    low: int = Field(lt=0)
    share: float = Field(le=0.5)
    name: str
    code: str = Field(min_length=2)
    again: bool
    part: Part
    pairs: list[Literal["a", "b"]] = Field(min_length=2)
    note: str | None
    more: str = "as it was"


class Stop(BaseModel):
    """End the run."""


def bound(choice="any", script=()):
    return FakeModel(script=script).bind_tools([Sort, Stop], tool_choice=choice)


def calls(message):
    return [(call["name"], call["args"]) for call in message.tool_calls]


def test_the_first_tool_is_called_with_the_simplest_arguments():
    for choice in ("any", "auto", None, "Sort"):
        message = bound(choice).invoke(prompt("A cat."))
        ((name, args),) = calls(message)
        assert name == "Sort"
        assert args == {
            "how": "mood",
            "k": 2,
            "low": -1,
            "share": 0,
            "name": "",
            "code": "aa",
            "again": False,
            "part": {"names": []},
            "pairs": ["a", "a"],
            "note": "",
        }
        Sort.model_validate(args)
        assert message.text == ""
        assert message.usage_metadata["output_tokens"] > 0


def test_a_tool_is_called_by_its_name_or_not_at_all():
    assert calls(bound("Stop").invoke("A cat.")) == [("Stop", {})]
    message = bound("none").invoke("A cat.")
    assert (message.text, message.tool_calls) == ("cat", [])
    with complains("Stopp: unknown tool; did you mean 'Stop'? available: Sort, Stop"):
        bound("Stopp").invoke("A cat.")


def test_a_scripted_call_is_made_as_it_stands():
    script = (
        json.dumps({"name": "Stop", "arguments": {}}),
        '{"name": "Fly", "arguments": {"to": "the moon"}}',
        "in words",
        '{"name": "Stop"}',
        '{"name": "Stop", "arguments": []}',
        "{broken",
    )
    model = bound(script=script)
    messages = [model.invoke("Act.") for _ in script]
    assert [calls(message) for message in messages] == [
        [("Stop", {})],
        [("Fly", {"to": "the moon"})],
        *[[]] * 4,
    ]
    assert [message.text for message in messages] == ["", "", *script[2:]]


def test_without_tools_a_scripted_call_is_words():
    assert said(FakeModel(script=('{"name": "Stop", "arguments": {}}',)), "Act.").startswith("{")


# by name


def test_by_name():
    assert isinstance(load_model(ModelConfig(model="fake")), FakeModel)
    model = load_model(ModelConfig(model="fake:0.05"))
    started = time.perf_counter()
    said(model, "A cat.")
    model.choose([prompt("A cat.")] * 2, ["cat", "dog"])
    assert time.perf_counter() - started >= 0.15


@pytest.mark.parametrize("wait", ["long", "-1", "nan", "inf", "0,1", "9999"])
def test_a_bad_wait(wait):
    with complains(f"fake:{wait}: the fake model takes a wait in seconds; write fake or fake:0.1"):
        load_model(ModelConfig(model=f"fake:{wait}"))


def test_half_a_character_of_an_answer_does_not_reach_a_file():
    # an endpoint that cuts an emoji in two sends what UTF-8 cannot hold
    asker = Asker(FakeModel(script=("cat \ud83d",)), ModelConfig(model="fake"))
    ((_, reply),) = asker.complete([Request("", "A cat.")], 5)
    assert reply.text == "cat ?"
