"""Asking a chat model many things: from the cache, in batches, or side by side.

`Asker` is the only door between the steps and a model. It knows nothing of what is asked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar, runtime_checkable

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agentclust.cache import Answers, key
from agentclust.config import ModelConfig
from agentclust.errors import ImageProblem, ModelError, RequestRefused
from agentclust.files.images import data_url
from agentclust.models.budget import Budget
from agentclust.models.faults import mapped
from agentclust.models.schema import choose_by_schema
from agentclust.models.usage import usage_of
from agentclust.types import Call, Choice, Refusal, Reply, Request, Usage

T = TypeVar("T", Reply, Choice, Call)
Prompt = list[BaseMessage]

CALL_TOKENS = 200
HOPELESS = 8  # so many refusals before the first answer mean that no request will be answered
DECIDING = ("model", "temperature", "base_url", "mmproj", "load_in_4bit", "n_ctx", "image_edge")


@runtime_checkable
class InProcess(Protocol):
    """What our own models add to `BaseChatModel`: their weights are in this process."""

    batch_size: int
    fingerprint: str

    def choose(self, prompts: Sequence[Prompt], options: Sequence[str]) -> list[Choice]:
        """A distribution over the options for each prompt, read from the logits."""
        ...


class Asker:
    """A chat model with its settings, its cache and its budget.

    Attributes:
        record: Called with the usage of each answer, in the thread that paid for it.
    """

    def __init__(
        self,
        model: BaseChatModel,
        config: ModelConfig,
        answers: Answers | None = None,
        budget: Budget | None = None,
        seed: int = 0,
        record: Callable[[Usage], None] = lambda usage: None,
    ) -> None:
        self.model, self.config, self.record = model, config, record
        self._answers, self._budget = answers, budget or Budget()
        decides = {name: str(getattr(config, name)) for name in DECIDING}
        self._identity = decides | {
            "fingerprint": getattr(model, "fingerprint", ""),
            "seed": seed if config.temperature else 0,
        }

    def complete(
        self, requests: Sequence[Request], max_tokens: int, stop: Sequence[str] = ()
    ) -> Iterator[tuple[int, Reply | Refusal]]:
        """Free text for each request, as answers come; the index says which request.

        Raises:
            ModelError: The model failed for good; what was answered so far is stored.
            BudgetSpent: The budget is spent.
            RunError: An answer cannot be stored.
        """

        def ask(prompts: list[Prompt]) -> list[Reply]:
            how: dict[str, Any] = {"max_tokens": max_tokens, "stop": list(stop) or None}
            if len(prompts) == 1:
                return [_reply(self.model.invoke(prompts[0], **how))]
            return [_reply(m) for m in self.model.batch(prompts, **how)]  # type: ignore[arg-type]

        how = {"max_tokens": max_tokens, "stop": list(stop)}
        return self._each(requests, how, ask, lambda stored: Reply(stored["text"]))

    def choose(
        self, requests: Sequence[Request], options: Sequence[str]
    ) -> Iterator[tuple[int, Choice | Refusal]]:
        """A distribution over `options` for each request, as answers come.

        From the logits where the model is in process; by a schema with an enum behind an API,
        where an answer outside the options gets one retry and then no probabilities.

        Raises:
            ModelError, BudgetSpent, RunError: As `complete`.
        """
        options = list(options)

        def ask(prompts: list[Prompt]) -> list[Choice]:
            if isinstance(self.model, InProcess):
                return self.model.choose(prompts, options)
            return [choose_by_schema(self.model, prompt, options) for prompt in prompts]

        def decode(stored: dict[str, Any]) -> Choice:
            return Choice(tuple(stored["probabilities"]))

        return self._each(requests, {"options": options}, ask, decode)

    def call(self, request: Request, tools: Sequence[dict[str, Any]]) -> Call | Refusal:
        """The tool that the model calls.

        Args:
            request: What the model is told.
            tools: Definitions in OpenAI's form.

        Raises:
            ModelError, BudgetSpent, RunError: As `complete`.
        """

        def ask(prompts: list[Prompt]) -> list[Call]:
            try:
                bound = self.model.bind_tools(list(tools), tool_choice="any")
            except NotImplementedError:
                raise RequestRefused(self.config.model, "calls no tools", "name another") from None
            return [_call(bound.invoke(prompt, max_tokens=CALL_TOKENS)) for prompt in prompts]

        def decode(stored: dict[str, Any]) -> Call:
            return Call(stored["name"], stored["args"], stored["text"])

        _, answer = next(self._each([request], {"tools": list(tools)}, ask, decode))
        return answer

    def _each(
        self,
        requests: Sequence[Request],
        how: dict[str, Any],
        ask: Callable[[list[Prompt]], list[T]],
        decode: Callable[[dict[str, Any]], T],
    ) -> Iterator[tuple[int, T | Refusal]]:
        """Answers from the cache first, then those still to be paid; equal requests once."""
        waiting: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            answer_key = self._key(request, how)
            stored = None
            if answer_key not in waiting and self._answers:
                stored = self._answers.get(answer_key)
            if stored is None:
                waiting.setdefault(answer_key, []).append(index)
            else:
                yield index, decode(stored)
        asked = [(k, requests[indices[0]]) for k, indices in waiting.items()]
        answered, refused = 0, 0
        for answer_key, answer in self._ask_all(asked, ask):
            if isinstance(answer, Refusal):
                refused += 1
                if not answered and refused >= HOPELESS:
                    raise ModelError(
                        self.config.model,
                        f"refused every one of {refused} requests: {answer.reason}",
                        "mend the cause and resume the run",
                    )
            else:
                answered += 1
            for index in waiting[answer_key]:
                yield index, answer
                if not isinstance(answer, Refusal):
                    answer = replace(answer, usage=Usage())  # the equal ones cost nothing

    def _ask_all(
        self, asked: list[tuple[str, Request]], ask: Callable[[list[Prompt]], list[T]]
    ) -> Iterator[tuple[str, T | Refusal]]:
        if isinstance(self.model, InProcess):
            size = max(1, self.model.batch_size)
            for start in range(0, len(asked), size):
                chunk = asked[start : start + size]
                keys = [k for k, _ in chunk]
                prompts = [partial(self._prompt, request) for _, request in chunk]
                yield from zip(keys, self._ask_chunk(chunk, ask, prompts), strict=True)
            return
        yield from self._ask_side_by_side(asked, ask)

    def _ask_side_by_side(
        self, asked: list[tuple[str, Request]], ask: Callable[[list[Prompt]], list[T]]
    ) -> Iterator[tuple[str, T | Refusal]]:
        """``concurrency`` requests in flight, the images of the next ones prepared meanwhile."""

        def send(item: tuple[str, Request], prompt: Future[Prompt]) -> list[T | Refusal]:
            return self._ask_chunk([item], ask, [prompt.result])

        images = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "image")
        senders = ThreadPoolExecutor(self.config.concurrency, "ask")
        queue = iter(asked)
        running: dict[Future[list[T | Refusal]], str] = {}
        done: SimpleQueue[Future[list[T | Refusal]]] = SimpleQueue()
        try:
            while True:
                for item in islice(queue, 2 * self.config.concurrency - len(running)):
                    future = senders.submit(send, item, images.submit(self._prompt, item[1]))
                    running[future] = item[0]
                    future.add_done_callback(done.put)
                if not running:
                    return
                future = done.get()
                yield running.pop(future), future.result()[0]
        finally:
            # an answer in flight is still stored by its thread, if the process lives so long
            for pool in (images, senders):
                pool.shutdown(wait=False, cancel_futures=True)

    def _ask_chunk(
        self,
        chunk: list[tuple[str, Request]],
        ask: Callable[[list[Prompt]], list[T]],
        prompts: Sequence[Callable[[], Prompt]],
    ) -> list[T | Refusal]:
        """Ask for one batch and store what came, in the thread that paid for it."""
        self._budget.spend(len(chunk))
        started = time.perf_counter()
        try:
            answers = ask([prompt() for prompt in prompts])
        except Exception as error:
            fault = mapped(error, self.config)
            if not isinstance(fault, RequestRefused | ImageProblem):
                raise fault from error
            if len(chunk) == 1:
                return [Refusal(fault.why)]
            return [
                self._ask_chunk([item], ask, [prompt])[0]
                for item, prompt in zip(chunk, prompts, strict=True)
            ]
        seconds = (time.perf_counter() - started) / len(chunk)
        results: list[T | Refusal] = []
        for (answer_key, _), answer in zip(chunk, answers, strict=True):
            if self._answers:
                self._answers.put(answer_key, asdict(replace(answer, usage=Usage())))
            paid = replace(answer.usage, calls=max(1, answer.usage.calls), seconds=seconds)
            self._budget.add(paid)
            self.record(paid)
            results.append(replace(answer, usage=paid))
        return results

    def _prompt(self, request: Request) -> Prompt:
        if request.image is None:
            return [SystemMessage(request.system), HumanMessage(request.user)]
        url = data_url(request.image, self.config.image_edge)
        parts: list[str | dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": request.user},
        ]
        return [SystemMessage(request.system), HumanMessage(parts)]

    def _key(self, request: Request, how: dict[str, Any]) -> str:
        return key(
            **self._identity,
            how=how,
            system=request.system,
            user=request.user,
            image=request.image_sha256 or str(request.image or ""),
        )


def _reply(message: AIMessage) -> Reply:
    # half a character, as an endpoint that cuts an emoji in two sends it, cannot be written
    return Reply(str(message.text).encode(errors="replace").decode(), usage_of(message))


def _call(message: AIMessage) -> Call:
    if not message.tool_calls:
        return Call("", {}, str(message.text), usage_of(message))
    called = message.tool_calls[0]
    return Call(called["name"], called["args"], "", usage_of(message))
