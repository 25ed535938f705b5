"""The words of a caption that decide, by leaving each out.

The importance of a word is how far the score falls without it (Li, Monroe and Jurafsky,
"Understanding Neural Networks through Representation Erasure", arXiv:1612.08220, section 3): here
the score of the caption's own group less that of the runner-up. A word is left out wherever it
stands in the caption; words that say little in English, such as "the", are not tried.

What it measures: which words make the embedding of the caption lie on its group's side of the
border. Where a language model put the caption into its group, this tells what sets the captions of
the group apart, not what the model thought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from agentclust.wording import WORD

SHOWN = 6  # words of a caption at most
TELLING = 0.05  # of the largest fall; what falls less is not shown


def without(caption: str) -> dict[str, str]:
    """What is left of a caption without each of its words, by the word in lower case."""
    found = dict.fromkeys(word.casefold() for word in WORD.findall(caption))
    return {word: _left(caption, word) for word in found if word not in ENGLISH_STOP_WORDS}


def _left(caption: str, word: str) -> str:
    kept = WORD.sub(lambda found: "" if found[0].casefold() == word else found[0], caption)
    return " ".join(kept.split())


def deciding(
    left: Mapping[str, str], margin: float, margins: Sequence[float]
) -> list[tuple[str, float]]:
    """The words whose absence lets the margin of a caption fall, the most telling first.

    Args:
        left: What is left of the caption without each word, as `without`.
        margin: The score of its own group less that of the runner-up.
        margins: The same of what is left, as many.

    Returns:
        At most 6 words with how far the margin falls without them, over 0.
    """
    falls = [(word, margin - other) for word, other in zip(left, margins, strict=True)]
    told = sorted(falls, key=lambda pair: -pair[1])[:SHOWN]
    least = TELLING * max((fall for _, fall in told), default=0.0)
    return [(word, fall) for word, fall in told if fall > max(least, 0.0)]
