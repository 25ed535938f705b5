"""A loaded chat model that answers requests. It knows no cache and no budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agentclust.config import ModelConfig
from agentclust.errors import RequestRefused
from agentclust.files.images import data_url
from agentclust.models.schema import choose_by_schema
from agentclust.models.usage import usage_of
from agentclust.types import Call, Choice, Reply, Request, State

Prompt = list[BaseMessage]
Answer = Reply | Choice | Call | State

CALL_TOKENS = 200


@runtime_checkable
class InProcess(Protocol):
    """What our own models add to `BaseChatModel`: their weights are in this process."""

    batch_size: int
    fingerprint: str

    def choose(self, prompts: Sequence[Prompt], options: Sequence[str]) -> list[Choice]:
        """A distribution over the options for each prompt, read from the logits."""
        ...


@runtime_checkable
class Inward(Protocol):
    """What tells of a model's hidden states besides."""

    def states(self, prompts: Sequence[Prompt]) -> list[State]:
        """The hidden state before the answer to each prompt."""
        ...


@dataclass(frozen=True)
class Question:
    """How requests are asked.

    Attributes:
        of: What is wanted: free text, a distribution over options, the call of a tool, or the
            hidden state before the answer.
        how: ``max_tokens`` and ``stop``, ``options``, ``tools`` in OpenAI's form, or nothing.
    """

    of: Literal["text", "choice", "call", "state"]
    how: dict[str, Any]


@runtime_checkable
class Answerer(Protocol):
    """A model that answers requests, in this process or on other machines.

    Attributes:
        fingerprint: Of its weights, where they are known.
        in_process: Whether they are in the process that answers, be it another one.
        inward: Whether it can tell hidden states.
        batch_size: How many requests a call of `answer` takes.
        side_by_side: How many threads may call it at once.
        in_order: Whether answers are given on in the order of the requests, not as they come.
    """

    fingerprint: str
    in_process: bool
    inward: bool
    batch_size: int
    side_by_side: int
    in_order: bool

    def prompt(self, request: Request) -> Any:
        """What of a request can be got ready before its turn.

        Raises:
            ImageProblem: Its image cannot be read.
        """
        ...

    def answer(self, question: Question, prompts: Sequence[Any]) -> list[Any]:
        """A reply, choice, call or state for each of what `prompt` made.

        Raises:
            Exception: Whatever the model raises; see `agentclust.models.faults`.
        """
        ...


class Loaded:
    """A chat model in this process, or behind an API, as an `Answerer`.

    Args:
        model: The model.
        config: Its settings.
    """

    def __init__(self, model: BaseChatModel, config: ModelConfig) -> None:
        self._model, self._config = model, config
        self.fingerprint: str = getattr(model, "fingerprint", "")
        self.in_process = isinstance(model, InProcess)
        self.inward = isinstance(model, Inward)
        self.in_order = self.in_process
        self.batch_size = max(1, model.batch_size) if isinstance(model, InProcess) else 1
        self.side_by_side = 1 if self.in_process else config.concurrency

    def prompt(self, request: Request) -> Prompt:
        """The request as messages, its image within."""
        if request.image is None:
            return [SystemMessage(request.system), HumanMessage(request.user)]
        url = data_url(request.image, self._config.image_edge)
        parts: list[str | dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": request.user},
        ]
        return [SystemMessage(request.system), HumanMessage(parts)]

    def answer(self, question: Question, prompts: Sequence[Prompt]) -> list[Any]:
        """A reply, choice, call or state for each prompt."""
        match question.of:
            case "text":
                return self._texts(prompts, question.how)
            case "choice":
                return self._choices(prompts, question.how["options"])
            case "call":
                return self._calls(prompts, question.how["tools"])
            case "state":
                assert isinstance(self._model, Inward)  # `inward` says so
                return self._model.states(prompts)

    def _texts(self, prompts: Sequence[Prompt], how: dict[str, Any]) -> list[Reply]:
        known: dict[str, Any] = {"max_tokens": how["max_tokens"], "stop": how["stop"] or None}
        if len(prompts) == 1:
            return [_reply(self._model.invoke(prompts[0], **known))]
        return [_reply(m) for m in self._model.batch(list(prompts), **known)]

    def _choices(self, prompts: Sequence[Prompt], options: list[str]) -> list[Choice]:
        if isinstance(self._model, InProcess):
            return self._model.choose(prompts, options)
        return [choose_by_schema(self._model, prompt, options) for prompt in prompts]

    def _calls(self, prompts: Sequence[Prompt], tools: Sequence[dict[str, Any]]) -> list[Call]:
        try:
            bound = self._model.bind_tools(tools, tool_choice="any")
        except NotImplementedError:
            raise RequestRefused(self._config.model, "calls no tools", "name another") from None
        return [_call(bound.invoke(prompt, max_tokens=CALL_TOKENS)) for prompt in prompts]


def _reply(message: AIMessage) -> Reply:
    # half a character, as an endpoint that cuts an emoji in two sends it, cannot be written
    return Reply(str(message.text).encode(errors="replace").decode(), usage_of(message))


def _call(message: AIMessage) -> Call:
    if not message.tool_calls:
        return Call("", {}, str(message.text), usage_of(message))
    called = message.tool_calls[0]
    return Call(called["name"], called["args"], "", usage_of(message))
