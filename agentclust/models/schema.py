"""Choosing among options at a model behind an API, by a JSON schema with an enum.

Endpoints differ in what they take. The first request finds the best way a model answers to; it is
remembered for as long as the model lives, so that the search is paid for once.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from agentclust.models.faults import status_of
from agentclust.models.logprobs import distribution
from agentclust.models.usage import usage_of
from agentclust.types import Choice, Usage

ANSWER = re.compile(r'"answer"\s*:\s*"((?:[^"\\]|\\.)*)"')
MAX_TOKENS = 512  # only an endpoint that ignores the schema writes so much
TOP = 5  # alternatives a token: what nearly every endpoint with logprobs allows
# how endpoints refuse a parameter; llama_cpp.server says 500, which is why a search asks twice
REFUSES = {400, 404, 405, 415, 422, 500, 501}

UNSPEAKABLE = str.maketrans({'"': "'", "\\": "/", "\n": " ", "\r": " "})

ASK = 'Answer with JSON alone: {{"answer": "…"}}, where … is exactly one of: {options}'
ASK_AGAIN = "That is none of the options. " + ASK


@dataclass(frozen=True)
class Way:
    """How to ask: the form of the answer, and whether its probabilities are asked for."""

    form: str
    logprobs: bool = False


OPENAI_WAYS = (
    Way("json_schema", True),
    Way("json_schema"),
    Way("json_object", True),
    Way("json_object"),
    Way("plain"),
)
OTHER_WAYS = (Way("structured"), Way("plain"))

_found: dict[int, Way] = {}
_searching = threading.Lock()


def choose_by_schema(model: BaseChatModel, prompt: list[BaseMessage], options: list[str]) -> Choice:
    """A distribution over the options, from a model that only answers in text.

    Where the endpoint tells the probabilities of tokens, they give the distribution, in the
    approximation of `logprobs.distribution`. Elsewhere the answer has probability 1.

    Args:
        model: Any chat model.
        prompt: What to ask.
        options: K different texts.

    Returns:
        K probabilities; none where the answer was, twice, none of the options. Its usage is that
        of all tries.

    Raises:
        Exception: Whatever the model raises; `faults.mapped` reads it.
    """
    options = _speakable(options)
    message, way, usage = _first_answer(model, prompt, options)
    index = _index(message, options)
    if index is None:
        said = AIMessage(message.text or "…")
        again = HumanMessage(ASK_AGAIN.format(options=_listed(options)))
        message = _ask(model, way, [*prompt, said, again], options)
        usage += usage_of(message)
        index = _index(message, options)
    if index is None:
        return Choice((), usage)
    return Choice(_probabilities(message, index, options), usage)


def _speakable(options: list[str]) -> list[str]:
    """The options without quotes and backslashes, which end llama_cpp.server in an enum."""
    plain = [option.translate(UNSPEAKABLE) for option in options]
    return plain if len(set(plain)) == len(options) else options


def _first_answer(
    model: BaseChatModel, prompt: list[BaseMessage], options: list[str]
) -> tuple[AIMessage, Way, Usage]:
    way = _found.get(id(model))
    if way is None:
        with _searching:
            way = _found.get(id(model))
            if way is None:
                return _search(model, prompt, options)
    message = _ask(model, way, prompt, options)
    return message, way, usage_of(message)


def _search(
    model: BaseChatModel, prompt: list[BaseMessage], options: list[str]
) -> tuple[AIMessage, Way, Usage]:
    """Go down the ways until the endpoint takes one, and remember it."""
    usage = Usage()
    *ways, last = OPENAI_WAYS if _is_endpoint(model) else OTHER_WAYS
    for way in ways:
        try:
            message = _ask(model, way, prompt, options, max_retries=1)
        except Exception as error:
            usage += Usage(calls=1)
            if isinstance(error, NotImplementedError) or status_of(error) in REFUSES:
                continue
            message = _ask(model, way, prompt, options)  # an outage: with all retries
        usage += usage_of(message)
        if not message.text:
            return message, way, usage  # says nothing about the way
        if ANSWER.search(message.text):
            return message, _remembered(model, way), usage
    message = _ask(model, last, prompt, options)
    return message, _remembered(model, last), usage + usage_of(message)


def _remembered(model: BaseChatModel, way: Way) -> Way:
    _found[id(model)] = way
    weakref.finalize(model, _found.pop, id(model), None)
    return way


def _is_endpoint(model: BaseChatModel) -> bool:
    from agentclust.models.openai import Endpoint  # takes a second that --help need not wait

    return isinstance(model, Endpoint)


def _ask(
    model: BaseChatModel,
    way: Way,
    prompt: list[BaseMessage],
    options: list[str],
    max_retries: int | None = None,
) -> AIMessage:
    if way.form == "structured":
        told: Any = model.with_structured_output(_schema(options), include_raw=True).invoke(prompt)
        raw = cast("AIMessage", told["raw"])
        parsed = told["parsed"]
        return raw.model_copy(update={"content": json.dumps(parsed)}) if parsed else raw
    if way.form != "json_schema":
        prompt = [*prompt[:-1], _with_text(prompt[-1], ASK.format(options=_listed(options)))]
    if not _is_endpoint(model):
        return model.invoke(prompt)
    how: dict[str, Any] = {"max_tokens": MAX_TOKENS}
    if way.logprobs:
        how |= {"logprobs": True, "top_logprobs": TOP}
    if way.form != "plain":
        how["extra_body"] = {"response_format": _response_format(way.form, options)}
    return model.invoke(prompt, max_retries=max_retries, **how)


def _schema(options: Sequence[str]) -> dict[str, Any]:
    return {
        "title": "choice",
        "description": "One of the options.",
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(options)}},
        "required": ["answer"],
        "additionalProperties": False,
    }


def _response_format(form: str, options: Sequence[str]) -> dict[str, Any]:
    schema = _schema(options)
    if form == "json_object":
        return {"type": "json_object", "schema": schema}
    named = {"name": "choice", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": named}


def _with_text(message: BaseMessage, text: str) -> BaseMessage:
    """The message with a text at its end."""
    if isinstance(message.content, str):
        return message.model_copy(update={"content": f"{message.content}\n\n{text}"})
    part = {"type": "text", "text": text}
    return message.model_copy(update={"content": [*message.content, part]})


def _listed(options: Sequence[str]) -> str:
    return ", ".join(json.dumps(option, ensure_ascii=False) for option in options)


def _index(message: AIMessage, options: Sequence[str]) -> int | None:
    """Which option the answer names: exactly, or but for case, quotes and space around it."""
    text = str(message.text)
    found = ANSWER.search(text)
    answer = _unescaped(found[1]) if found else text
    if answer in options:
        return options.index(answer)
    plain = [_plain(option) for option in options]
    return plain.index(_plain(answer)) if plain.count(_plain(answer)) == 1 else None


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _plain(text: str) -> str:
    return text.strip(" \t\r\n\"'`.").casefold()


def _probabilities(message: AIMessage, index: int, options: Sequence[str]) -> tuple[float, ...]:
    text = str(message.text)
    found = ANSWER.search(text)
    told = (message.response_metadata.get("logprobs") or {}).get("content")
    spread = distribution(told, text, found.span(1), options) if found and told else None
    return spread or tuple(float(i == index) for i in range(len(options)))
