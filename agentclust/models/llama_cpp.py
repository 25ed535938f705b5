"""Chat models in process: GGUF files through llama-cpp-python."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from agentclust.config import ModelConfig
from agentclust.errors import InputError, RequestRefused
from agentclust.models.gguf.seeing import MARKER, Eyes
from agentclust.models.gguf.tool_calls import grammar
from agentclust.models.gguf.turns import ChatTemplate, turns_of
from agentclust.models.gguf.weights import Gguf, check_file, fingerprint
from agentclust.models.gguf.writing import write
from agentclust.models.options import distribution
from agentclust.models.tool_calls import ToolCaller, admitted, call_in, told
from agentclust.types import Choice, State, Usage

MAX_TOKENS = 512  # of an answer, where the caller names no limit


class LlamaCpp(ToolCaller):
    """A GGUF file as a chat model.

    What a prompt shares with the one before it, up to the text of a message, stays in the KV
    cache; yet an answer depends on nothing but its own request. Calls are made one at a time.

    Args:
        path: The .gguf file.
        mmproj: The vision projector that belongs to it, for a model that reads images.
        n_ctx: Context window in tokens; more than the model was trained with is not used.
        n_gpu_layers: Layers on the GPU, -1 for all.
        n_threads: CPU threads, None for all cores.
        temperature: 0 takes the likeliest token each time, else sampling.
        seed: Of the sampling; every prompt draws from the seed and its own tokens.

    Raises:
        InputError: A file is missing, no GGUF, truncated, or of an unknown architecture.
        ModelError: There is not enough memory, or `mmproj` does not belong to the model.
    """

    path: Path
    mmproj: Path | None = None
    n_ctx: int = 4096
    n_gpu_layers: int = -1
    n_threads: int | None = None
    temperature: float = 0.0
    seed: int = 0
    batch_size: int = 1
    fingerprint: str = ""
    _gguf: Gguf = PrivateAttr()
    _template: ChatTemplate = PrivateAttr()
    _eyes: Eyes | None = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, _: Any) -> None:
        """Load the weights."""
        files = [self.path, self.mmproj] if self.mmproj else [self.path]
        for file in files:
            check_file(file)
        self.fingerprint = "+".join(map(fingerprint, files))
        self._gguf = Gguf(self.path, self.n_ctx, self.n_gpu_layers, self.n_threads)
        try:
            self._template = ChatTemplate(self._gguf, sees=self.mmproj is not None)
            if self.mmproj:
                self._eyes = Eyes(self._gguf, self.mmproj)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the weights; the model cannot be used afterwards."""
        with self._lock:
            self._gguf.close()

    @property
    def _llm_type(self) -> str:
        return "agentclust-llama-cpp"

    def choose(self, prompts: Sequence[list[BaseMessage]], options: Sequence[str]) -> list[Choice]:
        """A distribution over the options for each prompt, read from the logits.

        Raises:
            InputError: Two options are the same tokens.
            RequestRefused: A prompt does not fit into the context with the longest option.
        """
        end = self._gguf.end
        sequences = [[*self._gguf.tokens(option), end] for option in options]
        longest = max(map(len, sequences), default=0)
        return [self._choose(prompt, sequences, longest) for prompt in prompts]

    def states(self, prompts: Sequence[list[BaseMessage]]) -> list[State]:
        """The hidden state before the answer to each prompt, of the last layer.

        Raises:
            RequestRefused: A prompt does not fit into the context.
        """
        return [self._state(prompt) for prompt in prompts]

    def _state(self, messages: list[BaseMessage]) -> State:
        with self._reading(messages, 1, inward=True) as (prompt, cached):
            return State.of(self._gguf.state(), Usage(1, prompt, cached, 0))

    def _choose(
        self, messages: list[BaseMessage], sequences: list[list[int]], longest: int
    ) -> Choice:
        read = 0
        with self._reading(messages, longest) as (prompt, cached):

            def logits(path: Sequence[int]) -> Any:
                nonlocal read
                read += len(path)
                return self._gguf.logits(path)

            probabilities = distribution(sequences, logits)
        return Choice(probabilities, Usage(1, prompt, cached, read))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tools, must = admitted(kwargs.get("tools") or (), kwargs.get("tool_choice"))
        wanted = kwargs.get("max_tokens")
        with self._reading(messages, wanted or 1, told(tools, must=must) if tools else "") as (
            prompt,
            cached,
        ):
            written = write(
                self._gguf,
                wanted or min(MAX_TOKENS, self._gguf.n_ctx - prompt),
                () if tools else stop or (),
                kwargs.get("temperature", self.temperature),
                kwargs.get("seed", self.seed),
                grammar(tools, must=must) if tools else "",
            )
        call = None
        if tools and written.text.startswith("{"):
            if written.finish == "length":
                why = f"a tool call is longer than {written.tokens} tokens"
                raise RequestRefused("answer", why, "raise max_tokens or n_ctx")
            call = call_in(written.text, len(messages))
        message = AIMessage(
            "" if call else written.text,
            tool_calls=[call] if call else [],
            response_metadata={
                "model_name": self.path.name,
                "finish_reason": "tool_calls" if call else written.finish,
            },
            usage_metadata={
                "input_tokens": prompt,
                "output_tokens": written.tokens,
                "total_tokens": prompt + written.tokens,
                "input_token_details": {"cache_read": cached},
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    @contextmanager
    def _reading(
        self,
        messages: Sequence[BaseMessage],
        room: int,
        system: str = "",
        *,
        inward: bool = False,
    ) -> Iterator[tuple[int, int]]:
        """Read a prompt and keep the model for what follows.

        Yields:
            The prompt's tokens, and how many of them were in the cache.

        Raises:
            InputError: There is an image and no `mmproj`.
            RequestRefused: The prompt and `room` tokens of answer do not fit into the context.
        """
        turns, images = turns_of(messages, system, MARKER)
        if images and not self._eyes:
            why = "a request has an image, and the setting mmproj is not given"
            raise InputError(self.path.name, why, "name the model's projector, --set mmproj=FILE")
        with self._lock:
            self._gguf.turn_inward(inward)
            if images and self._eyes:
                self._eyes.read(self._template.text(turns), images)
                length, cached = self._gguf.n_read, 0
                self._fits(length, room)
            else:
                parts = self._template.parts(turns)
                length = sum(map(len, parts))
                self._fits(length, room)
                cached = self._gguf.read(parts)
            yield length, cached

    def _fits(self, length: int, room: int) -> None:
        window = self._gguf.n_ctx
        if length + room > window:
            why = f"{length} tokens and {room} for the answer do not fit into {window}"
            raise RequestRefused("prompt", why, "shorten it or raise n_ctx")


def build(config: ModelConfig, name: str, seed: int) -> LlamaCpp:
    """``llama-cpp:FILE.gguf``; FILE is relative to the working directory, ``~`` is one's home.

    Raises:
        InputError, ModelError: As `LlamaCpp`.
    """
    if not name:
        raise InputError(config.model, "names no file", "write llama-cpp:FILE.gguf")
    return LlamaCpp(
        path=Path(name).expanduser(),
        mmproj=config.mmproj.expanduser() if config.mmproj else None,
        n_ctx=config.n_ctx,
        n_gpu_layers=config.n_gpu_layers,
        n_threads=config.n_threads,
        temperature=config.temperature,
        seed=seed,
    )
