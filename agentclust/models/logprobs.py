"""From the probabilities of an answer's tokens to those of the options it was chosen from.

It knows nothing of endpoints: tokens come as OpenAI's chat completions tell them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any


def distribution(
    tokens: Sequence[dict[str, Any]], text: str, span: tuple[int, int], options: Sequence[str]
) -> tuple[float, ...] | None:
    """The probability of each option, from the likeliest tokens at each place of the answer.

    An approximation of decoding constrained to the options (compare `options.distribution`, which
    has all the logits): at each token of the answer only the told alternatives that go on towards
    an option count, normalised; what a token carries that several options share, and where the
    answer did not go, is divided evenly among them. An option that no told alternative begins
    has probability 0.

    Args:
        tokens: ``token``, ``bytes``, ``logprob`` and ``top_logprobs`` of each token of the text.
        text: The whole answer: JSON in which the chosen option is a string.
        span: Where in the text the string's characters begin and end.
        options: K different texts.

    Returns:
        K probabilities that sum to 1, or None where the tokens do not make up the text.
    """
    pieces = [_bytes(token) for token in tokens]
    written = text.encode()
    if not pieces or b"".join(pieces) != written:
        return None
    start, end = (len(text[:place].encode()) for place in span)
    # bytes, since a token may be a part of a character; the closing quote tells an option from
    # another that goes on
    targets = [written[:start] + json.dumps(o, ensure_ascii=False)[1:].encode() for o in options]
    mass, reach, alive, at = [0.0] * len(options), 1.0, list(range(len(options))), 0
    for piece, token in zip(pieces, tokens, strict=True):
        before, at = written[:at], at + len(piece)
        if at <= start or len(before) > end:
            continue
        weights = {_bytes(told): math.exp(told["logprob"]) for told in token["top_logprobs"] or []}
        weights[piece] = math.exp(token["logprob"])
        fits = {
            other: [i for i in alive if _on_one_path(before + other, targets[i])]
            for other in weights
        }
        total = sum(weights[other] for other, those in fits.items() if those)
        if not fits[piece] or not total:
            return None
        for other, those in fits.items():
            for i in those if other != piece else ():
                mass[i] += reach * weights[other] / total / len(those)
        reach *= weights[piece] / total
        alive = fits[piece]
    for i in alive:
        mass[i] += reach / len(alive)
    return tuple(mass)


def _bytes(token: dict[str, Any]) -> bytes:
    told = token.get("bytes")
    return bytes(told) if told is not None else str(token["token"]).encode()


def _on_one_path(first: bytes, second: bytes) -> bool:
    return first.startswith(second) or second.startswith(first)
