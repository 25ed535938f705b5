"""Raw labels and names as words: one spelling for what means the same."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

UNKNOWN = ("unknown", "none", "n/a", "not mentioned", "not specified", "unclear", "")
LEADING = re.compile(
    r"^(?:(?:the )?(?:label|answer|group|name|category|cluster)(?: for .{1,60}?)?(?: is)?\s*[:=]\s*"
    r"|(?:an?|the)\s+|[-*•\s]+|\(?\d+[.):]\s+)+"
)
QUOTES = " \"'`*<>“”‘’«»"  # noqa: RUF001
WORD = re.compile(r"\w+(?:['’-]\w+)*")  # noqa: RUF001
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
           "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
           "eighteen", "nineteen", "twenty"]  # fmt: skip
PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""), ("men", "man"))


def normalise(text: str) -> str:
    """A model's answer as a label: first line, lower case, no numbering, article or end stop."""
    lines = unicodedata.normalize("NFKC", text).strip().splitlines()
    label = " ".join(lines[0].lower().replace("_", " ").split()) if lines else ""
    label = LEADING.sub("", label.strip(QUOTES))
    return label.strip(QUOTES + ".,:;!?()[]{}")[:60].strip()


def is_unknown(label: str) -> bool:
    """Whether a label says that there is nothing to say."""
    return label in UNKNOWN


def merge(counts: Mapping[str, int]) -> dict[str, str]:
    """The label each label counts as: its singular or number word, where that occurs too."""
    return {
        label: next((form for form in _plain_forms(label) if form in counts), label)
        for label in counts
    }


def _plain_forms(label: str) -> Iterable[str]:
    if label.isascii() and label.isdigit() and int(label) < len(NUMBERS):
        yield NUMBERS[int(label)]
    for plural, singular in PLURALS:
        found = label.removesuffix(plural) + singular
        if label.endswith(plural) and len(found) > 1:
            yield found


def count(labels: Iterable[str]) -> dict[str, int]:
    """How often each label occurs, most frequent first, then by the alphabet."""
    counted = Counter(labels)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def common(counts: Mapping[str, int], share: float = 0.95, most: int = 120) -> dict[str, int]:
    """The most frequent labels that together make up `share` of all, at most `most` of them.

    Relative to the set, unlike a least count: a hundred images keep their labels as ten thousand
    do.
    """
    total, kept = sum(counts.values()), 0
    result: dict[str, int] = {}
    for label, number in counts.items():
        if kept >= share * total or len(result) >= most:
            break
        result[label] = number
        kept += number
    return result


def frequent(counts: Mapping[str, int], share: float = 0.02) -> list[str]:
    """The labels that at least this share of the samples has."""
    least = share * sum(counts.values())
    return [label for label, number in counts.items() if number >= least]


def printable(text: str) -> str:
    """A text as a terminal may show it: without what that would obey, as captions are anything."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
