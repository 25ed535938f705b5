"""What the word being typed may become."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

from agentclust.commands.spelling import fold
from agentclust.commands.verbs import VERBS, Arg, quoted

MOST = 100
LAST_WORD = re.compile(r"(?P<open>[\"'])?(?P<word>(?(open)[^\"']*|[^\s\"',+:]*))$")


def complete(text: str, groups: Sequence[str], sample_ids: Iterable[str]) -> list[str]:
    """The texts the last word may become, at most `MOST`; a name of several words is quoted.

    Args:
        text: The line up to the cursor.
        groups: The groups, in the order in which they are shown.
        sample_ids: The ids, in any order.

    Returns:
        Each replaces the last word, with the quotation mark before it if there is one.
    """
    if text.startswith("/") and " " not in text:
        return [f"/{verb}" for verb in VERBS if verb.startswith(text[1:].lower())]
    verb = text[1:].partition(" ")[0] if text.startswith("/") else ""
    takes = {arg.kind for arg in _args(verb)}
    found = LAST_WORD.search(text)
    typed = found["word"].casefold() if found else ""
    word = fold(typed)
    if not word and not verb:
        return []
    names = list(groups) if takes & {"group", "groups", "names", "name"} else []
    ids = sample_ids if takes & {"sample", "samples"} else ()
    verbs = VERBS if "verb" in takes and verb else ()
    starting = [quoted(n) for some in (names, verbs) for n in some if fold(n).startswith(word)]
    # an id is found by the beginning of any part of its path
    begun = (quoted(i) for i in ids if "/" + typed in "/" + i.casefold())
    return [*starting, *islice(begun, MOST)][:MOST]


def _args(verb: str) -> tuple[Arg, ...]:
    """What can stand in a line that starts so: in a sentence anything."""
    if verb in VERBS:
        return VERBS[verb].args
    return () if verb else tuple(arg for some in VERBS.values() for arg in some.args)
