"""The agent chooses among the tools that may mend an attempt."""

import json
from contextlib import contextmanager

import pytest
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from agentclust import agent, pages
from agentclust.agent import planning
from agentclust.config import ModelConfig
from agentclust.models import load_model
from agentclust.models.fake import FakeModel
from tests.agent.results import complete, tools_of
from tests.endpoint import as_fake
from tests.models.stub_endpoint import Stub, completion
from tests.steps import captioned, opened


class Deciding(FakeModel):
    """The fake model, but for what it decides where it is offered tools.

    Args:
        calls: What it calls in turn, as (tool, arguments); then it finishes.
    """

    calls: list[tuple[str, dict]] = Field(default_factory=list)
    offered: list[list[str]] = Field(default_factory=list)

    def _generate(self, messages, stop=None, run_manager=None, **options):
        if not options.get("tools"):
            return super()._generate(messages, stop, run_manager, **options)
        self.offered.append([tool["function"]["name"] for tool in options["tools"]])
        name, args = self.calls.pop(0) if self.calls else ("finish", {"why": "enough"})
        reply = AIMessage("", tool_calls=[ToolCall(name=name, args=args, id="x")])
        return ChatResult(generations=[ChatGeneration(message=reply)])


# most raw labels fit none of the two names, and two tools may mend that
MIXED = captioned(*["a dog"] * 8, *["a cat"] * 8, *[f"a picture of some {w}" for w in (
    "moss", "rust", "felt", "clay", "silk", "wool", "jute", "hemp")])  # fmt: skip


@pytest.fixture
def undecided(tmp_path):
    """A run whose first attempt leaves the model a choice."""

    def run(model, **settings):
        folders = iter(range(100))
        folder = next(tmp_path / str(i) for i in folders if not (tmp_path / str(i)).exists())
        return opened(folder, MIXED, model, embedder="tfidf", **settings)

    return run


def test_the_model_chooses_among_tools_that_help(undecided):
    model = Deciding(calls=[("ask_again", {})])
    with undecided(model) as work:
        agent.drive(work)
        assert complete(work)
        assert "ask_again" in model.offered[0]
        assert "name_again" in model.offered[0]
        assert not set(model.offered[0]) & set(planning.OPENING)
        assert "ask_again" in tools_of(work)
        assert len(work.run.state["attempts"]) > 1


def test_the_model_can_be_content(undecided):
    with undecided(Deciding()) as work:
        agent.drive(work)
        assert complete(work)
        assert tools_of(work) == [*planning.OPENING, "finish"]


@pytest.mark.parametrize(
    "call",
    [("delete_everything", {}), ("caption", {}), ("merge", {"first": "dog"}),
     ("name_again", {"advice": 7}), ("split", {"group": "no such group"})],
)  # fmt: skip
def test_a_call_that_is_not_valid_does_no_harm(undecided, call):
    with undecided(Deciding(calls=[call] * 20)) as work:
        agent.drive(work)
        assert complete(work)
        after = tools_of(work)[len(planning.OPENING) :]
        assert not {"delete_everything", "caption"} & set(after)


@pytest.fixture
def behind_an_api(undecided):
    """A run whose model answers over HTTP, and calls a tool of its own choice where it may."""

    @contextmanager
    def run(choose, **settings):
        offered = []

        def plan(body):
            if not body.get("tools"):
                return as_fake(body)
            offered.append([tool["function"]["name"] for tool in body["tools"]])
            name, args = choose(offered)
            called = {"name": name, "arguments": json.dumps(args)}
            call = {"id": "x", "type": "function", "function": called}
            return completion(None, tool_calls=[call], finish_reason="tool_calls")

        with Stub(plan) as stub:
            config = ModelConfig(model="openai:stub", base_url=stub.base_url)
            with undecided(load_model(config), **settings) as work:
                yield work, offered

    return run


def test_a_model_behind_an_api_calls_tools_natively(behind_an_api):
    with behind_an_api(lambda offered: ("ask_again", {})) as (work, offered):
        agent.drive(work)
        assert complete(work)
        assert {"ask_again", "inspect", "compare", "finish"} <= set(offered[0])
        assert "ask_again" in tools_of(work)


def test_a_model_that_looks_forever_is_ended(behind_an_api):
    look = ("inspect", {"group": "dog"})
    with behind_an_api(lambda offered: look, max_rounds=3) as (work, _):
        agent.drive(work)
        assert complete(work)
        assert tools_of(work)[6:] == ["inspect", "inspect", "inspect", "finish"]


def test_no_rounds_are_the_straight_line(undecided):
    model = Deciding(calls=[("ask_again", {})])
    with undecided(model, max_rounds=0) as work:
        agent.drive(work)
        assert complete(work)
        assert model.offered == []


def test_a_budget_that_ends_while_mending_leaves_the_best_attempt_and_says_so(undecided):
    with undecided(Deciding()) as work:
        agent.drive(work)
        paid = sum(usage.calls for usage in work.run.usage().values())
    model = Deciding(calls=[("name_again", {"advice": "other names"})])
    with undecided(model, max_calls=paid + 1, cache=False) as work:
        agent.drive(work)
        assert complete(work)
        assert work.run.about()["by"] == "ictc"
        assert f"max_calls={paid + 1}" in pages.told(work.run.state)[0]
