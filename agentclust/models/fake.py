"""The public fake model: scripted or deterministic, for tests and dry runs.

It knows nothing of the steps. Without a script it answers from the words it is given: a list of
``- word (count)`` lines is answered by its first words, numbered captions by a numbered line each,
any other text by its last plain word, a choice by the option that shares most words with the text.
Of tools it calls the first, with the simplest arguments.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from agentclust.config import ModelConfig
from agentclust.errors import InputError
from agentclust.models.tool_calls import (
    Tool,
    ToolCaller,
    admitted,
    arguments_of,
    call_in,
    call_text,
)
from agentclust.types import Choice, Usage

NAMES_ASKED = re.compile(r"\b(\d+) (?:group|cluster|name)s?\b")
COUNTED = re.compile(r"^- (.+) \((\d+)\)$", re.MULTILINE)
FENCED = re.compile(r"<(\w+)>\s*(.*?)\s*</\1>", re.DOTALL)
NUMBERED = re.compile(r"^(\d+)\. <(\w+)>\s*(.*?)\s*</\2>", re.DOTALL | re.MULTILINE)
NONE = re.compile(r"\bnone\b", re.IGNORECASE)


class FakeModel(ToolCaller):
    """A chat model without weights.

    Args:
        script: Replies to give in turn, then again from the first; empty for deterministic ones.
            Where tools are bound, ``{"name": …, "arguments": {…}}`` is a call, whether or not
            there is such a tool; any other reply is plain words, even where a call is asked for.
        latency: Seconds an answer takes.
    """

    script: tuple[str, ...] = ()
    latency: float = 0.0
    batch_size: int = 1
    fingerprint: str = "fake-1"
    _turn: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "agentclust-fake"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.latency:
            time.sleep(self.latency)
        tools, _ = admitted(kwargs.get("tools") or (), kwargs.get("tool_choice"))
        text = self._next_reply() if self.script else answer(_text(messages), tools)
        for mark in () if tools else stop or ():
            text = text.partition(mark)[0]
        call = call_in(text, len(messages)) if tools and _is_call(text) else None
        usage = _count(messages, text)
        message = AIMessage(
            "" if call else text,
            tool_calls=[call] if call else [],
            usage_metadata={
                "input_tokens": usage.prompt_tokens,
                "output_tokens": usage.completion_tokens,
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        """A distribution over the options for each prompt."""
        if self.latency:
            time.sleep(self.latency * len(prompts))
        return [
            Choice(_overlaps(self._next_reply() if self.script else _text(p), options), _count(p))
            for p in prompts
        ]

    def _next_reply(self) -> str:
        reply = self.script[self._turn % len(self.script)]
        self._turn += 1
        return reply


def answer(text: str, tools: Sequence[Tool] = ()) -> str:
    """The deterministic reply to a text; with tools, a call of the first."""
    if tools:
        function = tools[0]["function"]
        return call_text(function["name"], simplest(arguments_of(function)))
    counted = COUNTED.findall(text)
    if counted:
        asked = NAMES_ASKED.search(text)
        wanted = int(asked[1]) if asked else len(counted)
        return "\n".join(word for word, _ in counted[:wanted])
    numbered = NUMBERED.findall(text)
    if numbered:
        return "\n".join(f"{number}. {_last_word(one)}" for number, _, one in numbered)
    return _last_word(text)


def simplest(schema: dict[str, Any]) -> Any:
    """The simplest value of a JSON schema without references: as little and as near 0 as may be.

    Patterns and formats are not looked at.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for way in ("anyOf", "oneOf", "allOf"):
        if way in schema:
            return simplest(schema[way][0])
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "string":
            return "a" * schema.get("minLength", 0)
        case "boolean":
            return False
        case "integer" | "number":
            least = max(0, schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
            most = schema.get("exclusiveMaximum", least + 1) - 1
            return min(least, schema.get("maximum", least), most)
        case "array":
            return [simplest(schema.get("items", {}))] * schema.get("minItems", 0)
        case "object":
            parts = schema.get("properties", {})
            return {name: simplest(parts[name]) for name in schema.get("required", ())}
    return None


def _is_call(text: str) -> bool:
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict) and "name" in said and isinstance(said.get("arguments"), dict)


def _last_word(text: str) -> str:
    fenced = FENCED.findall(text)
    words = re.findall(r"[^\W\d_]{3,}", fenced[-1][1] if fenced else text)
    return str(words[-1]).lower() if words else "something"


def _overlaps(text: str, options: Sequence[str]) -> tuple[float, ...]:
    fenced = FENCED.findall(text)
    words = set(re.findall(r"\w+", (fenced[-1][1] if fenced else text).lower()))
    shared = [len(words & set(re.findall(r"\w+", option.lower()))) for option in options]
    if not any(shared):
        shared = [1 if NONE.search(option) else 0 for option in options]
    weights = [8.0**count for count in shared]
    return tuple(weight / sum(weights) for weight in weights)


def _text(messages: Sequence[BaseMessage]) -> str:
    return str(messages[-1].text)


def _count(messages: Sequence[BaseMessage], reply: str = "") -> Usage:
    prompt = sum(len(str(message.text).split()) for message in messages)
    return Usage(1, prompt, 0, len(reply.split()))


def build(config: ModelConfig, name: str, seed: int) -> FakeModel:
    """``fake`` answers deterministically; ``fake:SECONDS`` does so after a wait."""
    try:
        latency = float(name or 0)
    except ValueError:
        latency = -1
    if not 0 <= latency <= 3600:
        raise InputError(
            config.model, "the fake model takes a wait in seconds", "write fake or fake:0.1"
        )
    return FakeModel(latency=latency)
