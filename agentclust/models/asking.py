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
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel

from agentclust.cache import Answers, key
from agentclust.config import ModelConfig
from agentclust.errors import ImageProblem, ModelError, RequestRefused
from agentclust.models.answering import Answerer, Loaded, Question
from agentclust.models.budget import Budget
from agentclust.models.faults import mapped
from agentclust.types import Call, Choice, Refusal, Reply, Request, State, Usage

T = TypeVar("T", Reply, Choice, Call, State)
Asked = tuple[str, Request]  # with the key of its answer
Answered = tuple[str, Any]  # a reply, choice, call, state or refusal with its key

HOPELESS = 8  # so many refusals before the first answer mean that no request will be answered
AHEAD = 2  # requests got ready for each that is asked
DECIDING = ("model", "temperature", "base_url", "mmproj", "load_in_4bit", "n_ctx", "image_edge")


class Asker:
    """A chat model with its settings, its cache and its budget.

    Attributes:
        record: Called with the usage of each answer, in the thread that paid for it.
    """

    def __init__(
        self,
        model: BaseChatModel | Answerer,
        config: ModelConfig,
        answers: Answers | None = None,
        budget: Budget | None = None,
        seed: int = 0,
        record: Callable[[Usage], None] = lambda usage: None,
    ) -> None:
        self.model, self.config, self.record = model, config, record
        self._answers, self._budget = answers, budget or Budget()
        self._source = Loaded(model, config) if isinstance(model, BaseChatModel) else model
        decides = {name: str(getattr(config, name)) for name in DECIDING}
        self._identity = decides | {
            "fingerprint": self._source.fingerprint,
            "seed": seed if config.temperature else 0,
        }

    @property
    def in_process(self) -> bool:
        """Whether the weights are in the process that answers, so that logits can be read."""
        return self._source.in_process

    @property
    def inward(self) -> bool:
        """Whether the model can tell its hidden states."""
        return self._source.inward

    def complete(
        self, requests: Sequence[Request], max_tokens: int, stop: Sequence[str] = ()
    ) -> Iterator[tuple[int, Reply | Refusal]]:
        """Free text for each request, as answers come; the index says which request.

        Raises:
            ModelError: The model failed for good; what was answered so far is stored.
            BudgetSpent: The budget is spent.
            RunError: An answer cannot be stored.
        """
        question = Question("text", {"max_tokens": max_tokens, "stop": list(stop)})
        return self._each(requests, question, lambda stored: Reply(stored["text"]))

    def choose(
        self, requests: Sequence[Request], options: Sequence[str]
    ) -> Iterator[tuple[int, Choice | Refusal]]:
        """A distribution over `options` for each request, as answers come.

        From the logits where the model is in process; by a schema with an enum behind an API,
        where an answer outside the options gets one retry and then no probabilities.

        Raises:
            ModelError, BudgetSpent, RunError: As `complete`.
        """

        def decode(stored: dict[str, Any]) -> Choice:
            return Choice(tuple(stored["probabilities"]))

        return self._each(requests, Question("choice", {"options": list(options)}), decode)

    def call(self, request: Request, tools: Sequence[dict[str, Any]]) -> Call | Refusal:
        """The tool that the model calls.

        Args:
            request: What the model is told.
            tools: Definitions in OpenAI's form.

        Raises:
            ModelError, BudgetSpent, RunError: As `complete`.
        """

        def decode(stored: dict[str, Any]) -> Call:
            return Call(stored["name"], stored["args"], stored["text"])

        _, answer = next(self._each([request], Question("call", {"tools": list(tools)}), decode))
        return answer

    def states(self, requests: Sequence[Request]) -> Iterator[tuple[int, State | Refusal]]:
        """The hidden state before the answer to each request, as they come; see `inward`.

        Raises:
            ModelError, BudgetSpent, RunError: As `complete`.
        """

        def decode(stored: dict[str, Any]) -> State:
            return State(stored["data"])

        return self._each(requests, Question("state", {}), decode)

    def _each(
        self,
        requests: Sequence[Request],
        question: Question,
        decode: Callable[[dict[str, Any]], T],
    ) -> Iterator[tuple[int, T | Refusal]]:
        """Answers from the cache first, then those still to be paid; equal requests once."""
        waiting: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            answer_key = self._key(request, question)
            stored = None
            if answer_key not in waiting and self._answers:
                stored = self._answers.get(answer_key)
            if stored is None:
                waiting.setdefault(answer_key, []).append(index)
            else:
                yield index, decode(stored)
        asked = [(k, requests[indices[0]]) for k, indices in waiting.items()]
        answered, refused = 0, 0
        for answer_key, answer in self._ask_all(asked, question):
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

    def _ask_all(self, asked: list[Asked], question: Question) -> Iterator[Answered]:
        size = self._source.batch_size
        chunks = (asked[start : start + size] for start in range(0, len(asked), size))
        if self._source.side_by_side > 1:
            yield from self._ask_side_by_side(chunks, question)
            return
        for chunk in chunks:
            prompts = [partial(self._source.prompt, request) for _, request in chunk]
            yield from self._ask_chunk(chunk, question, prompts)

    def _ask_side_by_side(
        self, chunks: Iterator[list[Asked]], question: Question
    ) -> Iterator[Answered]:
        """As many chunks in flight as may be, the prompts of the next ones prepared meanwhile."""

        def send(chunk: list[Asked], prompts: list[Future[Any]]) -> list[Answered]:
            return self._ask_chunk(chunk, question, [prompt.result for prompt in prompts])

        images = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "image")
        senders = ThreadPoolExecutor(self._source.side_by_side, "ask")
        running: dict[Future[list[Answered]], None] = {}  # in order
        done: SimpleQueue[Future[list[Answered]]] = SimpleQueue()
        try:
            while True:
                for chunk in islice(chunks, AHEAD * self._source.side_by_side - len(running)):
                    prompts = [images.submit(self._source.prompt, request) for _, request in chunk]
                    future = senders.submit(send, chunk, prompts)
                    running[future] = None
                    future.add_done_callback(done.put)
                if not running:
                    return
                future = next(iter(running)) if self._source.in_order else done.get()
                del running[future]
                yield from future.result()
        finally:
            # an answer in flight is still stored by its thread, if the process lives so long
            for pool in (images, senders):
                pool.shutdown(wait=False, cancel_futures=True)

    def _ask_chunk(
        self, chunk: list[Asked], question: Question, prompts: Sequence[Callable[[], Any]]
    ) -> list[Answered]:
        """Ask for one batch and store what came, in the thread that paid for it."""
        self._budget.spend(len(chunk))
        started = time.perf_counter()
        try:
            answers = self._source.answer(question, [prompt() for prompt in prompts])
        except Exception as error:
            fault = mapped(error, self.config)
            if not isinstance(fault, RequestRefused | ImageProblem):
                raise fault from error
            if len(chunk) == 1:
                return [(chunk[0][0], Refusal(fault.why))]
            return [
                self._ask_chunk([item], question, [prompt])[0]
                for item, prompt in zip(chunk, prompts, strict=True)
            ]
        seconds = (time.perf_counter() - started) / len(chunk)
        results: list[Answered] = []
        for (answer_key, _), answer in zip(chunk, answers, strict=True):
            if self._answers:
                self._answers.put(answer_key, asdict(replace(answer, usage=Usage())))
            took = answer.usage.seconds or seconds  # on another machine, without the way there
            paid = replace(answer.usage, calls=max(1, answer.usage.calls), seconds=took)
            self._budget.add(paid)
            self.record(paid)
            results.append((answer_key, replace(answer, usage=paid)))
        return results

    def _key(self, request: Request, question: Question) -> str:
        return key(
            **self._identity,
            how=question.how or question.of,
            system=request.system,
            user=request.user,
            image=request.image_sha256 or str(request.image or ""),
        )
