"""Which of the names or ids that exist a text means, however it is spelt."""

from __future__ import annotations

import difflib
import functools
import unicodedata
from collections.abc import Collection, Iterable

from agentclust import wording

STRAIGHT = str.maketrans("“”„«»‘’‚", '"""""\'\'\'')  # noqa: RUF001


def straight(text: str) -> str:
    """The text with plain quotation marks and single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).translate(STRAIGHT).split())


@functools.lru_cache(10_000)
def fold(name: str) -> str:
    """A name as compared: without case, underscores and doubled spaces."""
    return " ".join(
        straight(unicodedata.normalize("NFKC", name)).casefold().replace("_", " ").split()
    )


def matches(text: str, names: Iterable[str]) -> list[str]:
    """The names that a text means: spelt so, or else but for case, or else but for the plural."""
    names = list(names)
    if text in names:
        return [text]
    wanted = fold(text)
    folded = {name: fold(name) for name in names}
    return [n for n in names if folded[n] == wanted] or [
        n for n in names if wanted and folded[n] and _same_word(wanted, folded[n])
    ]


def _same_word(one: str, other: str) -> bool:
    digits = one.isdecimal() or other.isdecimal()
    if one[0] != other[0] and not digits:
        return False  # no plural changes the first letter, and most pairs end here
    counts = {one: 1, other: 1}
    return len(set(wording.merge(counts).values())) == 1


def near(text: str, names: Iterable[str]) -> list[str]:
    """The names a text may be a misspelling of, likeliest first."""
    folded = {fold(name): name for name in names}
    return [folded[f] for f in difflib.get_close_matches(fold(text), folded, n=3, cutoff=0.7)]


def ending_key(text: str) -> str:
    """A text as `endings` knows it."""
    plain = text.isascii() and " " not in text  # most ids, and there may be a hundred thousand
    return (text if plain else straight(text)).casefold().strip("/")


def endings(ids: Collection[str]) -> dict[str, list[str]]:
    """The ids that end so: by the end of the path, with and without the file's suffix."""
    found: dict[str, list[str]] = {}
    for sample in ids:
        path = ending_key(sample)
        while path:
            for end in {path, _stem(path)}:
                found.setdefault(end, []).append(sample)
            path = path.partition("/")[2]
    return found


def _stem(path: str) -> str:
    """The path without a file's suffix; "v1.2" has none."""
    stem, _, suffix = path.rpartition(".")
    is_suffix = len(suffix) in range(2, 6) and suffix.isalnum() and suffix[0].isalpha()
    return stem if stem and is_suffix else path
