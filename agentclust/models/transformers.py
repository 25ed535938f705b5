"""Chat models whose weights lie in this process: transformers checkpoints, really batched.

Text models and LLaVA-style ones that read images. An answer does not depend on its neighbours in
a batch but for rounding: at temperature 0 decoding is greedy, otherwise every prompt draws with
a noise of its own, seeded by the run's seed and the prompt.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from numpy.typing import NDArray
from pydantic import PrivateAttr

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError
from agentclust.models.hf.chat_format import chat_format
from agentclust.models.hf.checkpoint import load
from agentclust.models.hf.decoding import Admitted, Sampling, StopTexts
from agentclust.models.hf.network import Batch, Logits, Network
from agentclust.models.hf.tool_calls import Spelling, telling, whole_call
from agentclust.models.options import distribution
from agentclust.models.tool_calls import Tool, ToolCaller, admitted, told
from agentclust.networks.checkpoints import quiet
from agentclust.networks.failing import out_of_memory
from agentclust.types import Choice, State, Usage

MAX_TOKENS = 512  # of an answer, where the caller names no limit


@dataclass(frozen=True)
class Wanted:
    """What an answer may be.

    Attributes:
        max_tokens: It has no more.
        stop: Texts it ends before; a tool call ignores them.
        tools: What it may call.
        must: It is a call.
    """

    max_tokens: int = MAX_TOKENS
    stop: Sequence[str] = ()
    tools: Sequence[Tool] = ()
    must: bool = False

    @classmethod
    def of(cls, stop: Sequence[str] | None, **how: Any) -> Wanted:
        """From the arguments of a call.

        Raises:
            InputError: `tool_choice` names no tool.
        """
        tools, must = admitted(how.get("tools") or (), how.get("tool_choice"))
        stop = () if tools else stop or ()
        return cls(how.get("max_tokens") or MAX_TOKENS, stop, tools, must)


class Transformers(ToolCaller):
    """A transformers checkpoint as a chat model; `build` makes one.

    `batch` runs `batch_size` prompts at a time as one padded batch and calls no callbacks;
    `invoke` is a batch of one. A text model reads a system text that the prompts share once and
    keeps it in the KV cache.
    """

    model: str
    batch_size: int
    fingerprint: str
    temperature: float
    seed: int
    _network: Network = PrivateAttr()
    _spelt: Spelling | None = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "agentclust-transformers"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = self._answer([messages], Wanted.of(stop, **kwargs))[0]
        return ChatResult(generations=[ChatGeneration(message=message)])

    def batch(  # type: ignore[override]
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        stop: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> list[AIMessage | AgentclustError]:
        """Answer many prompts, `batch_size` at a time.

        Raises:
            RequestRefused: A prompt is too long or cannot be read, or a tool call does not end.
                With `return_exceptions` the error stands in the answer's place and the others
                are answered.
            InputError: `tool_choice` names no tool, or a tool's schema has no grammar.
        """
        wanted = Wanted.of(stop, **kwargs)
        prompts = [self._convert_input(one).to_messages() for one in inputs]
        answers: list[AIMessage | AgentclustError] = []
        for chunk in self._chunks(prompts):
            try:
                answers += self._answer(chunk, wanted)
            except AgentclustError:
                if not return_exceptions:
                    raise
                answers += [self._try(prompt, wanted) for prompt in chunk]
        return answers

    def _try(self, prompt: list[BaseMessage], wanted: Wanted) -> AIMessage | AgentclustError:
        try:
            return self._answer([prompt], wanted)[0]
        except AgentclustError as error:
            return error

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        """A distribution over the options for each prompt, read from the logits.

        Raises:
            RequestRefused: A prompt with the longest option does not fit into the window.
            InputError: Two options are the same tokens.
        """
        sequences = [self._network.option_tokens(option) for option in options]
        longest = max(map(len, sequences), default=0)
        choices: list[Choice] = []
        for chunk in self._chunks(prompts):
            with self._running():
                for batch in self._network.batches(chunk, longest, longest):
                    choices += _choose(Logits(self._network, batch), batch, sequences)
        return choices

    def states(self, prompts: Sequence[list[BaseMessage]]) -> list[State]:
        """The hidden state before the answer to each prompt, of the last layer.

        Raises:
            RequestRefused: A prompt does not fit into the window.
        """
        found: list[State] = []
        for chunk in self._chunks(prompts):
            with self._running():
                for batch in self._network.batches(chunk, 1, 1):
                    usages = map(partial(Usage, 1), batch.lengths, batch.cached)
                    found += map(State.of, self._network.states(batch), usages)
        return found

    def _answer(self, prompts: Sequence[list[BaseMessage]], wanted: Wanted) -> list[AIMessage]:
        network = self._network
        answers: list[AIMessage] = []
        if wanted.tools:
            text = told(wanted.tools, must=wanted.must)
            prompts = [telling(prompt, text) for prompt in prompts]
        with self._running():
            for batch in network.batches(prompts, 1, wanted.max_tokens):
                of_batch = prompts[len(answers) : len(answers) + len(batch.lengths)]
                hooks = self._hooks(of_batch, batch, wanted)
                room = min(wanted.max_tokens, network.window - max(batch.lengths))
                out = network.run(batch.inputs, batch.cache, max_new_tokens=room, **hooks)
                rows = out.sequences[:, batch.width :].tolist()
                for i, (prompt, row) in enumerate(zip(of_batch, rows, strict=True)):
                    answers.append(self._message(batch, i, row, wanted, len(prompt)))
        return answers

    def _hooks(
        self, prompts: Sequence[list[BaseMessage]], batch: Batch, wanted: Wanted
    ) -> dict[str, Any]:
        processors: list[Any] = []
        if self.temperature:
            processors.append(
                Sampling(self.temperature, [_seed(self.seed, prompt) for prompt in prompts])
            )
        if wanted.tools:
            grammar = self._spelling().grammar(wanted.tools, must=wanted.must)
            processors.append(Admitted([grammar.deep_copy() for _ in prompts], batch.width))
        if not wanted.stop:
            return {"logits_processor": processors}
        ends = StopTexts(self._network.checkpoint.tokenizer, wanted.stop, batch.width)
        return {"logits_processor": processors, "stopping_criteria": [ends]}

    def _spelling(self) -> Spelling:
        if self._spelt is None:  # takes a second, and few runs call tools
            checkpoint = self._network.checkpoint
            self._spelt = Spelling(self.model, checkpoint.tokenizer, self._network.ends)
        return self._spelt

    def _message(
        self, batch: Batch, row: int, tokens: list[int], wanted: Wanted, number: int
    ) -> AIMessage:
        """The answer without padding, cut before a stop text, or the tool call that it is.

        Raises:
            RequestRefused: A tool call does not end within the tokens it may have.
        """
        tokenizer = self._network.checkpoint.tokenizer
        final = self._network.ends | {tokenizer.pad_token_id}
        end = next((i for i, token in enumerate(tokens) if token in final), len(tokens))
        ended = end < len(tokens)
        call = None
        if wanted.tools:
            # a tokenizer may decode spaces and quotes into nicer ones
            call = whole_call(self._spelling().text(tokens[:end]), ended, end, number)
        whole = "" if call else tokenizer.decode(tokens[:end], skip_special_tokens=True)
        stop = wanted.stop
        text = min((whole.split(s, 1)[0] for s in stop if s in whole), key=len, default=whole)
        # a stop text comes without a token that ends the answer: what follows it is padding
        written = end + 1 if ended and len(text) == len(whole) else end
        finish = "stop" if ended or len(text) < len(whole) else "length"
        length, cached = batch.lengths[row], batch.cached[row]
        return AIMessage(
            text.strip(),
            tool_calls=[call] if call else [],
            response_metadata={
                "finish_reason": "tool_calls" if call else finish,
                "model_name": self.model,
            },
            usage_metadata=UsageMetadata(
                input_tokens=length,
                output_tokens=written,
                total_tokens=length + written,
                input_token_details={"cache_read": cached},
            ),
        )

    def _chunks(
        self, prompts: Sequence[list[BaseMessage]]
    ) -> Iterator[Sequence[list[BaseMessage]]]:
        for start in range(0, len(prompts), self.batch_size):
            yield prompts[start : start + self.batch_size]

    @contextmanager
    def _running(self) -> Iterator[None]:
        with self._lock, quiet(), out_of_memory(self.model, "a smaller batch_size"):
            yield


def _choose(logits: Logits, batch: Batch, sequences: Sequence[Sequence[int]]) -> list[Choice]:
    distributions = []
    for row in range(len(batch.lengths)):

        def of_row(path: Sequence[int], row: int = row) -> NDArray[np.float32]:
            return logits.after(tuple(path))[row]  # type: ignore[no-any-return]

        distributions.append(distribution(sequences, of_row))
    # prompts that had to be read again are counted again
    usages = [
        Usage(1, logits.readings * length, logits.readings * cached)
        for length, cached in zip(batch.lengths, batch.cached, strict=True)
    ]
    return [Choice(p, usage) for p, usage in zip(distributions, usages, strict=True)]


def _seed(seed: int, prompt: Sequence[BaseMessage]) -> int:
    text = "\0".join([str(seed), *(f"{m.type}\0{m.content}" for m in prompt)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


def build(config: ModelConfig, name: str, seed: int) -> Transformers:
    """The model behind ``transformers:NAME``, a hub repository or a local folder.

    Raises:
        InputError: There is no such checkpoint, it is no chat model, or 4-bit weights cannot be
            used on this machine.
        ModelError: It is there but cannot be loaded.
    """
    checkpoint = load(config, name)
    form = chat_format(name, checkpoint.tokenizer, checkpoint.processor)
    model = Transformers(
        model=config.model,
        batch_size=config.batch_size,
        fingerprint=checkpoint.fingerprint,
        temperature=config.temperature,
        seed=seed,
    )
    window = min(config.n_ctx, checkpoint.window or config.n_ctx)
    model._network = Network(checkpoint, form, window)
    return model
