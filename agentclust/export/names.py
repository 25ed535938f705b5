"""Names of groups and files as names that every file system takes, and keeps apart.

The rules are those of Windows, which are the strictest: "Naming Files, Paths, and Namespaces" in
its documentation. Letters of any language stay.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

# beside what Windows forbids: signs that turn the direction of writing, and the byte order mark
FORBIDDEN = frozenset('/\\:*?"<>|\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e'
                      "\u2066\u2067\u2068\u2069")  # fmt: skip
RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
LONGEST = 120  # bytes, of the 255 that most file systems take: the rest is for "(2)" and a suffix
SUFFIX = 20  # characters: what is longer is no suffix


def safe_name(text: str, default: str) -> str:
    """A text as the name of one folder, or of a file without its suffix.

    Args:
        text: Any text.
        default: The name where nothing of the text can stay.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join("-" if _is_forbidden(char) else char for char in " ".join(composed.split()))
    name = kept.encode()[:LONGEST].decode(errors="ignore").strip(" .")
    if not any(unicodedata.category(char)[0] in "LNPS" for char in name):
        return default
    stem, dot, rest = name.partition(".")
    return f"{stem}_{dot}{rest}" if stem.rstrip().lower() in RESERVED else name


def safe_file(text: str, default: str) -> tuple[str, str]:
    """A file name as a safe stem and suffix; the suffix has its dot, or is empty."""
    stem, _, suffix = text.rpartition(".")
    if not stem or not suffix.isalnum() or len(suffix) > SUFFIX:
        return safe_name(text, default), ""
    return safe_name(stem, default), f".{suffix}"


def apart(stem: str, suffix: str, taken: Collection[str]) -> str:
    """The name, or with a number the first one that is not `taken`, which holds keys of `same`."""
    number, found = 1, f"{stem}{suffix}"
    while same(found) in taken:
        number += 1
        found = f"{stem} ({number}){suffix}"
    return found


def same(name: str) -> str:
    """What two names have in common that are one on a disk that knows no case or accent forms.

    This is the canonical caseless match of the Unicode standard, section 3.13, D145, without the
    signs that are not seen.
    """
    seen = "".join(char for char in name if unicodedata.category(char) != "Cf")
    decomposed = unicodedata.normalize("NFD", seen)
    return unicodedata.normalize("NFD", decomposed.casefold())


def _is_forbidden(char: str) -> bool:
    return char in FORBIDDEN or unicodedata.category(char) in ("Cc", "Cs")
