"""Hooks into transformers' generation, each acting on every row of a batch alone.

They know nothing of chats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher
from transformers import LogitsProcessor, StoppingCriteria


class Sampling(LogitsProcessor):
    """Makes greedy decoding draw from softmax(logits / temperature).

    The argmax of logits / temperature plus Gumbel noise is such a draw (the Gumbel-max trick:
    Maddison, Tarlow, Minka, A* Sampling, 2014, section 2). With a noise of its own each row
    draws the same whatever stands beside it, unlike `torch.multinomial` over the batch.

    Args:
        temperature: Above 0.
        seeds: One a row.
    """

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._noise = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Noisy scores, shape (rows, vocabulary)."""
        noise = [-torch.empty(scores.shape[1]).exponential_(generator=g).log() for g in self._noise]
        return scores / self._temperature + torch.stack(noise).to(scores.device)


class Forced(LogitsProcessor):
    """Makes every row write the same tokens first.

    Args:
        path: The tokens.
        start: Columns before the answer.
    """

    def __init__(self, path: Sequence[int], start: int) -> None:
        self._path, self._start = path, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores that leave one token, while there is a token to force."""
        step = input_ids.shape[1] - self._start
        if step >= len(self._path):
            return scores
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self._path[step]] = 0
        return forced


class Admitted(LogitsProcessor):
    """Keeps each row to what its grammar admits.

    Args:
        grammars: One a row, each at its beginning; they follow what the rows write.
        start: Columns before the answer.
    """

    def __init__(self, grammars: Sequence[LLMatcher], start: int) -> None:
        self._grammars, self._start = grammars, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores that leave the tokens a grammar admits next, or the end of a finished row."""
        admitted = np.zeros(scores.shape, bool)
        for row, grammar in enumerate(self._grammars):
            if input_ids.shape[1] > self._start and not grammar.is_stopped():
                grammar.consume_token(int(input_ids[row, -1]))
            # a network may have more outputs than the tokenizer has tokens
            bits = np.frombuffer(grammar.compute_bitmask(), np.uint8)
            admitted[row] = np.unpackbits(bits, count=scores.shape[1], bitorder="little")
        return scores.masked_fill(~torch.from_numpy(admitted).to(scores.device), -torch.inf)


class StopTexts(StoppingCriteria):
    """Ends a row once its answer contains one of the texts, at whatever token boundary.

    Args:
        tokenizer: Decodes the answer.
        texts: What ends it.
        start: Columns before the answer: a text that the prompt begins does not count.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], start: int) -> None:
        self._tokenizer, self._texts, self._start = tokenizer, texts, start

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor | None, **_: Any
    ) -> torch.Tensor:
        """Which rows are done, shape (rows,)."""
        answers = self._tokenizer.batch_decode(
            input_ids[:, self._start :], skip_special_tokens=True
        )
        done = [any(text in answer for text in self._texts) for answer in answers]
        return torch.tensor(done, device=input_ids.device)
