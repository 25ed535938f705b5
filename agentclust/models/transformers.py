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
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from numpy.typing import NDArray
from pydantic import PrivateAttr

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError
from agentclust.models.hf.chat_format import chat_format
from agentclust.models.hf.checkpoint import load, out_of_memory, quiet
from agentclust.models.hf.decoding import Sampling, StopTexts
from agentclust.models.hf.network import Batch, Logits, Network
from agentclust.models.options import distribution
from agentclust.types import Choice, Usage

MAX_TOKENS = 512  # of an answer, where the caller names no limit


class Transformers(BaseChatModel):
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
        message = self._answer([messages], stop or (), kwargs.get("max_tokens"))[0]
        return ChatResult(generations=[ChatGeneration(message=message)])

    def batch(  # type: ignore[override]
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        stop: Sequence[str] | None = None,
        max_tokens: int | None = None,
        **kwargs: Any,
    ) -> list[AIMessage | AgentclustError]:
        """Answer many prompts, `batch_size` at a time.

        Raises:
            RequestRefused: A prompt is too long or cannot be read. With `return_exceptions` the
                error stands in the answer's place and the others are answered.
        """
        prompts = [self._convert_input(one).to_messages() for one in inputs]
        answers: list[AIMessage | AgentclustError] = []
        for chunk in self._chunks(prompts):
            try:
                answers += self._answer(chunk, stop or (), max_tokens)
            except AgentclustError:
                if not return_exceptions:
                    raise
                answers += [self._try(prompt, stop or (), max_tokens) for prompt in chunk]
        return answers

    def _try(
        self, prompt: list[BaseMessage], stop: Sequence[str], max_tokens: int | None
    ) -> AIMessage | AgentclustError:
        try:
            return self._answer([prompt], stop, max_tokens)[0]
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

    def _answer(
        self, prompts: Sequence[list[BaseMessage]], stop: Sequence[str], max_tokens: int | None
    ) -> list[AIMessage]:
        network, wanted = self._network, max_tokens or MAX_TOKENS
        seeds = iter([_seed(self.seed, prompt) for prompt in prompts])
        answers = []
        with self._running():
            for batch in network.batches(prompts, 1, wanted):
                hooks: dict[str, Any] = {}
                if self.temperature:
                    noise = [next(seeds) for _ in batch.lengths]
                    hooks["logits_processor"] = [Sampling(self.temperature, noise)]
                if stop:
                    ends = StopTexts(network.checkpoint.tokenizer, stop, batch.width)
                    hooks["stopping_criteria"] = [ends]
                room = min(wanted, network.window - max(batch.lengths))
                out = network.run(batch.inputs, batch.cache, max_new_tokens=room, **hooks)
                rows = out.sequences[:, batch.width :].tolist()
                answers += [self._message(batch, i, row, stop) for i, row in enumerate(rows)]
        return answers

    def _message(self, batch: Batch, row: int, tokens: list[int], stop: Sequence[str]) -> AIMessage:
        """The answer without padding, cut before a stop text."""
        tokenizer = self._network.checkpoint.tokenizer
        final = self._network.ends | {tokenizer.pad_token_id}
        end = next((i for i, token in enumerate(tokens) if token in final), len(tokens))
        whole = tokenizer.decode(tokens[:end], skip_special_tokens=True)
        text = min((whole.split(s, 1)[0] for s in stop if s in whole), key=len, default=whole)
        ended = end < len(tokens)
        # a stop text comes without a token that ends the answer: what follows it is padding
        written = end + 1 if ended and len(text) == len(whole) else end
        length, cached = batch.lengths[row], batch.cached[row]
        return AIMessage(
            text.strip(),
            response_metadata={
                "finish_reason": "stop" if ended or len(text) < len(whole) else "length",
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
