"""The exact distribution over options, read from a model's logits along a trie of their tokens.

It knows nothing of any model: a callable gives next-token logits after a path of option tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agentclust.errors import InputError

NEGLIGIBLE = 1e-3  # reach mass below which a node is not worth a model call


def distribution(
    sequences: Sequence[Sequence[int]],
    logits: Callable[[Sequence[int]], NDArray[np.float32]],
) -> tuple[float, ...]:
    """The probability of each option under decoding constrained to the options.

    The options' tokens form a trie. At each node with more than one admissible next token the
    mass that reaches it is split by a softmax over the logits of the admissible children alone;
    a node with one child passes its mass on. An option's probability is therefore the product of
    these conditionals along its path: exactly how often sampling at temperature 1 under a grammar
    that admits only the options would write it, for one model call a branching node instead of
    one a token. It is not the model's own probability of the option renormalised over the
    options: like every token-wise constraint it does not look ahead at mass that an admissible
    token would later lose to inadmissible ones.

    A branching node reached by less than `NEGLIGIBLE` mass is not asked about: its mass is
    divided evenly among the options below it.

    Args:
        sequences: Token ids of K options, each ending with an end-of-answer token so that an
            option which is a prefix of another is told apart from it.
        logits: Next-token logits, shape (n_vocab,), after the prompt and a path of option tokens.
            Called once a branching node, parents before children, siblings in the order in which
            the options name them.

    Returns:
        K probabilities in the options' order, summing to 1.

    Raises:
        InputError: No options, or two have the same tokens, or one is a prefix of another.
    """
    options = [tuple(sequence) for sequence in sequences]
    _check(options)
    result = np.zeros(len(options))
    _split(options, list(range(len(options))), 0, 1.0, logits, result)
    return tuple(float(p) for p in result / result.sum())


def _check(options: Sequence[tuple[int, ...]]) -> None:
    if not options:
        raise InputError("options", "there are none", "give at least one")
    ordered = sorted(range(len(options)), key=options.__getitem__)
    for a, b in pairwise(ordered):
        # in sorted order a prefix stands directly before one of its extensions
        if options[a] == options[b][: len(options[a])]:
            same = options[a] == options[b]
            raise InputError(
                f"options {min(a, b) + 1} and {max(a, b) + 1}",
                "the model reads both as the same tokens"
                if same
                else "the tokens of one begin the other",
                "make them differ" if same else "end each with an end-of-answer token",
            )


def _split(
    options: Sequence[tuple[int, ...]],
    members: list[int],
    depth: int,
    mass: float,
    logits: Callable[[Sequence[int]], NDArray[np.float32]],
    result: NDArray[np.float64],
) -> None:
    """Divide `mass` among `members`, the options that share their first `depth` tokens."""
    if len(members) == 1:
        result[members[0]] = mass
        return
    children: dict[int, list[int]] = defaultdict(list)
    while len(children) < 2:
        children.clear()
        for member in members:
            children[options[member][depth]].append(member)
        depth += 1
    path = options[members[0]][: depth - 1]
    if path and mass < NEGLIGIBLE:
        result[members] = mass / len(members)
        return
    for share, child in zip(_softmax(logits(path)[list(children)]), children.values(), strict=True):
        _split(options, child, depth, mass * float(share), logits, result)


def _softmax(values: NDArray[np.float32]) -> NDArray[np.float64]:
    exponents = np.asarray(values, dtype=np.float64)
    exponents = np.exp(exponents - exponents.max())
    shares: NDArray[np.float64] = exponents / exponents.sum()
    return shares
