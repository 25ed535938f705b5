"""Writing token by token: greedy or sampled, up to a stop text, under a grammar."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from agentclust.errors import InputError
from agentclust.models.gguf.weights import Gguf

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote: text, how many tokens, and why it ended ('stop' or 'length')."""

    text: str
    tokens: int
    finish: str


def write(
    gguf: Gguf,
    max_tokens: int,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    seed: int = 0,
    grammar: str = "",
) -> Written:
    """Continue the prompt that was read.

    Args:
        gguf: The model.
        max_tokens: So many at most.
        stop: Texts that end the answer and are not part of it.
        temperature: 0 takes the likeliest token each time, else sampling.
        seed: Of the sampling; together with the prompt it decides what is drawn.
        grammar: GBNF that the answer must follow, if any.
    """
    rng = np.random.default_rng([seed, gguf.checksum])
    stops = [text.encode() for text in stop if text]
    rules = Grammar(gguf, grammar) if grammar else None
    data, count, finish = b"", 0, "length"
    logits = gguf.logits()
    try:
        while count < max_tokens:
            token = _draw(logits, temperature, rng)
            if rules and not rules.admits(token):
                # what is drawn so is distributed as if the rest had been masked at once
                token = _draw(rules.masked(logits), temperature, rng)
            if gguf.is_end(token):
                finish = "stop"
                break
            count += 1
            data += gguf.piece(token)
            found = [at for at in map(data.find, stops) if at >= 0]
            if found:
                data, finish = data[: min(found)], "stop"
                break
            if rules:
                rules.accept(token)
            if count < max_tokens:
                logits = gguf.go_on(token)
    finally:
        if rules:
            rules.close()
    return Written(data.decode("utf-8", "ignore").strip(), count, finish)


def _draw(logits: NDArray[np.float32], temperature: float, rng: np.random.Generator) -> int:
    if not temperature:
        return int(logits.argmax())
    weights = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    return int(rng.choice(len(weights), p=weights / weights.sum()))


class Grammar:
    """The state of a GBNF grammar while a text is written under it."""

    def __init__(self, gguf: Gguf, text: str) -> None:
        self._sampler = llama_cpp.llama_sampler_init_grammar(gguf.vocab, text.encode(), b"root")
        if not self._sampler:
            raise InputError("grammar", "llama.cpp cannot read it", "simplify the tool's schema")

    def close(self) -> None:
        """Free the memory."""
        llama_cpp.llama_sampler_free(self._sampler)

    def accept(self, token: int) -> None:
        """Go on after a token that is admissible."""
        llama_cpp.llama_sampler_accept(self._sampler, token)

    def admits(self, token: int) -> bool:
        """Whether a token may come next: far cheaper than masking all of them."""
        return bool(np.isfinite(self._apply(np.array([(token, 0, 0)], CANDIDATE))[0]))

    def masked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits with -inf for tokens that may not come next."""
        candidates = np.zeros(len(logits), CANDIDATE)
        candidates["id"], candidates["logit"] = np.arange(len(logits)), logits
        return self._apply(candidates)

    def _apply(self, candidates: NDArray[np.void]) -> NDArray[np.float32]:
        data = candidates.ctypes.data_as(llama_cpp.llama_token_data_p)
        array = llama_cpp.llama_token_data_array(data=data, size=len(candidates), selected=-1)
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))
        return candidates["logit"]
