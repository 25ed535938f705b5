"""The words of a line as values: groups, names, sample ids, numbers.

A typed command (`/merge a b`) says exactly what it means, so any name is taken as given and checked
later. A sentence is only understood where its names are groups or samples that exist, or nearly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentclust import wording
from agentclust.commands.spelling import matches, near, straight
from agentclust.commands.verbs import VERBS, Kind

FIRST_MASK, LAST_MASK = 0xE000, 0xF8FF  # private use: no font, keyboard or name has them
QUOTED = r"\"(?P<double>[^\"]*)\"|(?<![^\s,:;(])'(?P<single>[^']+)'(?![^\s,:;.!?)])"
BETWEEN = re.compile(r"\s*(?:[,;&+]|\band\b|\bas well as\b|\balong with\b)\s*", re.I)
EVERYTHING = re.compile(r"everything|all(?: of)?(?: them| the groups| groups| of it)?", re.I)
THESE = re.compile(
    r"(?:all (?:of )?)?(?:these|those|them|they)(?: (?P<number>\w+))?"
    r"(?: (?:ones?|images?|samples?|pictures?|photos?))?",
    re.I,
)
IT = re.compile(r"it|this|that|(?:this|that) (?:one|image|sample|picture|photo)", re.I)
IMAGE = re.compile(r"^(?:the )?(?:image|sample|picture|photo|file)s? ", re.I)
LIKE_AN_ID = re.compile(r"[^\s\"']*[\d_][^\s\"']*")
BARE = re.compile(
    r"(?:(?:all|both) )?(?:(?:the|our|my|that|this) )?(?:(?:group|cluster)s? (?:called |named )?)?"
    r"(?P<name>.+?)(?: (?:group|cluster|one|category)s?)?",
    re.I,
)
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
            "tenth", "eleventh", "twelfth"]  # fmt: skip
NTH = re.compile(
    r"(?:the )?(?P<word>[a-z]+|\d{1,4}(?:st|nd|rd|th))(?: (?:group|cluster|one|attempt|run))?"
    r"|(?:group |cluster |attempt |run |number |#)(?P<digits>\d{1,4})",
    re.I,
)
VAGUE = frozenset((
    "it", "this", "that", "these", "those", "them", "they", "both", "some", "others", "another",
    "something", "anything", "one", "ones", "none", "nothing", "any", "most", "many", "few",
    "more", "group", "groups", "cluster", "clusters", "thing", "things", "same", "other", "rest",
    "everything", "everyone", "all", "me", "us", "you", "else",
))  # fmt: skip
# a name or text with one of these says more than was understood
FURTHER = frozenset((
    "then", "but", "ignore", "merge", "combine", "join", "rename", "split", "divide", "move",
    "drop", "delete", "remove", "undo", "redo", "please",
))  # fmt: skip
UNSURE = frozenset((
    "or", "not", "maybe", "perhaps", "except", "unless", "if", "when", "because", "i", "you",
    "we", "me", "should", "would", "could", "might", "which", "that", "who", "what", "why", "how",
    "to", "into", "from", "is", "are", "was", "were", "be", "together", "than",
))  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """What a line is read against.

    Attributes:
        groups: The groups, in the order in which they are shown.
        is_sample: Whether a text is the id of a sample.
        shown: The ids last shown: what "these" means.
        plain: Whether the line is a sentence, in which nothing may be guessed.
        masked: The names that `mask` took out of the line.
    """

    groups: Sequence[str]
    is_sample: Callable[[str], bool]
    shown: Sequence[str]
    plain: bool
    masked: list[str] = field(default_factory=list)


# names that hold spaces or joining words are taken out of the line before it is matched


def mask(text: str, reading: Reading) -> str:
    """The line with each quoted text, and each group whose name is no plain word, as one letter."""
    forms = {form for name in reading.groups for form in _spellings(straight(name))}
    wordy = [form for form in forms if not form.isalnum() and any(map(str.isalnum, form))]
    known = "|".join(re.escape(form) for form in sorted(wordy, key=len, reverse=True))
    either = rf"{QUOTED}|(?<!\w)(?:{known})(?!\w)" if known else QUOTED

    def take(found: re.Match[str]) -> str:
        kept = next((part for part in found.groups() if part is not None), found[0])
        reading.masked.append(kept)
        return chr(FIRST_MASK + len(reading.masked) - 1)

    return re.sub(either, take, text, count=LAST_MASK - FIRST_MASK, flags=re.I)


def _spellings(name: str) -> Iterable[str]:
    yield name
    yield name.replace("_", " ")
    for plural, singular in wording.PLURALS:
        if name.endswith(plural):
            yield name.removesuffix(plural) + singular
        if name.endswith(singular):
            yield name.removesuffix(singular) + plural


def unmask(text: str, reading: Reading) -> str:
    """The text with its names put back."""
    return "".join(reading.masked[ord(c) - FIRST_MASK] if is_mask(c) else c for c in text).strip()


def is_mask(letter: str) -> bool:
    """Whether a character stands for a name."""
    return len(letter) == 1 and FIRST_MASK <= ord(letter) <= LAST_MASK


# one reader a kind: (text, reading, sure) -> value, None where it does not read as that kind


def _group(text: str, reading: Reading, sure: bool) -> str | None:
    raw = unmask(text, reading)
    bare = _bare(raw)
    for form in (raw, bare):
        found = matches(form, reading.groups)
        if len(found) == 1:
            return found[0]
    position = _nth(raw)
    if position is not None and position <= len(reading.groups):
        return reading.groups[position - 1] if reading.groups else None
    if not reading.plain:
        return raw
    if near(bare, reading.groups):
        return bare
    return None if sure or not _says_a_name(bare, words=3) else bare


def _groups(text: str, reading: Reading, sure: bool) -> list[str] | None:
    if EVERYTHING.fullmatch(text):
        return list(reading.groups)
    read: list[str | None] = []
    for part in _parts(text, reading):
        words = [_group(word, reading, sure=True) for word in part.split()]
        each = len(words) > 1 and not matches(part, reading.groups) and all(words)
        read += words if reading.plain and each else [_group(part, reading, sure)]
    found = [group for group in read if group]
    if len(found) < len(read):
        return None
    is_about_groups = any(matches(g, reading.groups) or near(g, reading.groups) for g in found)
    return found if is_about_groups or not reading.plain else None


def _name(text: str, reading: Reading, sure: bool) -> str | None:
    raw = unmask(text, reading)
    if not reading.plain or is_mask(text):
        return raw
    return None if "," in raw or not _says_a_name(raw, words=2 if sure else 6) else raw


def _names(text: str, reading: Reading, sure: bool) -> list[str] | None:
    read = [_name(part, reading, sure) for part in _parts(text, reading)]
    found = [name for name in read if name is not None]
    return found if len(found) == len(read) else None


def _sample(text: str, reading: Reading, sure: bool) -> str | None:
    raw = unmask(text, reading)
    if IT.fullmatch(raw) and len(reading.shown) == 1:
        return reading.shown[0]
    if not reading.plain or reading.is_sample(raw):
        return raw
    bare = IMAGE.sub("", raw, count=1)
    return bare if reading.is_sample(bare) or _like_an_id(bare, sure) else None


def _like_an_id(text: str, sure: bool) -> bool:
    return bool(LIKE_AN_ID.fullmatch(text)) and not sure


def _samples(text: str, reading: Reading, sure: bool) -> list[str] | None:
    these = THESE.fullmatch(text)
    if these:
        said = these["number"] and _number(these["number"], reading, sure)
        agree = not these["number"] or said == len(reading.shown)
        return list(reading.shown) if reading.shown and agree else None
    read = [_sample(part, reading, sure) for part in _parts(text, reading)]
    found = [sample for sample in read if sample is not None]
    return found if len(found) == len(read) else None


def _number(text: str, reading: Reading, sure: bool) -> int | None:
    text = unmask(text, reading).lower()
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    return wording.NUMBERS.index(text) if text in wording.NUMBERS else None


def _text(text: str, reading: Reading, sure: bool) -> str | None:
    raw = unmask(text, reading)
    if not reading.plain or is_mask(text):
        return raw
    words = raw.lower().split()
    clear = len(words) <= 12 and not FURTHER & set(words) and set(words) - VAGUE
    return raw if clear and not reading.is_sample(raw) else None


def _attempt(text: str, reading: Reading, sure: bool) -> str | None:
    raw = unmask(text, reading)
    position = _nth(raw)
    if position is not None:
        return str(position) if position else "previous"
    if not reading.plain or re.fullmatch(r"\d{1,4}|\d\d-[\w-]+|previous", raw):
        return raw
    return None


def _path(text: str, reading: Reading, sure: bool) -> str | None:
    raw = unmask(text, reading)
    is_path = is_mask(text) or re.fullmatch(r"\S*[./\\]\S*", raw)
    return raw if is_path or not reading.plain else None


def _verb(text: str, reading: Reading, sure: bool) -> str | None:
    verb = text.lower().lstrip("/").replace("-", "_").replace(" ", "_")
    return verb if verb in VERBS else None


def _flag(text: str, reading: Reading, sure: bool) -> bool:
    return True


READERS: dict[Kind, Callable[[str, Reading, bool], Any]] = {
    "group": _group,
    "groups": _groups,
    "name": _name,
    "names": _names,
    "sample": _sample,
    "samples": _samples,
    "number": _number,
    "flag": _flag,
    "text": _text,
    "attempt": _attempt,
    "path": _path,
    "verb": _verb,
}


def _parts(text: str, reading: Reading) -> list[str]:
    parts = [part for part in BETWEEN.split(text) if part]
    # "/merge a b": without a comma each word of a typed command is a name
    return text.split() if len(parts) == 1 and not reading.plain else parts


def _bare(text: str) -> str:
    """The name in "the harp group"."""
    found = BARE.fullmatch(text)
    return found["name"] if found else text


def _nth(text: str) -> int | None:
    """The position that "the second group" means, from 1; 0 for the last."""
    found = NTH.fullmatch(text)
    if not found:
        return None
    word = (found["word"] or found["digits"]).lower()
    if word in ("last", "previous"):
        return 0
    digits = re.match(r"\d+", word)
    if digits:
        return int(digits[0]) or None
    return ORDINALS.index(word) + 1 if word in ORDINALS else None


def _says_a_name(text: str, words: int) -> bool:
    said = text.lower().split()
    return 0 < len(said) <= words and not (FURTHER | UNSURE) & set(said) and not set(said) <= VAGUE
