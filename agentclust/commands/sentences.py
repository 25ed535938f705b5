"""A line read as a command: typed commands first, then sentences in plain English.

Both are tables of patterns: a regular expression in which `<groups>` stands for the argument of
that name. `<group!>` is one word or one name, and certainly that of a group; `<name!>` is short;
`<samples!>` are ids that exist. What matches no pattern wholly is not understood.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import Any

from agentclust.commands.reading import READERS, Reading, is_mask, mask
from agentclust.commands.spelling import ending_key, endings, straight
from agentclust.commands.verbs import LISTS, VERBS, Arg, Command, command
from agentclust.errors import InputError

LONGEST_LINE, LONGEST_SENTENCE = 20_000, 600
ONE_NAME = r"(?:(?:the|our|my) )?\S*[^\s:](?: (?:group|cluster|one))?|(?:group|cluster) \S*[^\s:]"
SEVERAL = ("groups", "samples", "children", "into", "name")
REST = (
    r"(?:(?:whatever|anything|everything|what) else|the (?:rest|others?)|others?|\.\.\.|…|\*)"
    r"(?: (?:that )?(?:you|there|we)(?: can| may| might)?(?: find| see| is| are))?"
)

# after the verb of a typed command
LINES: dict[str, str] = {
    "merge": "<groups>(?: (?:as|into) <name>)?",
    "rename": "<group!>(?: to| as| ->)? <name>",
    "split": "<group!>(?:(?: into|:)? <into>)?",
    "move": "<samples> (?:(?:to|into|in) <group>|<group2!>)",
    "wrong": "<samples>",
    "drop": "<groups>",
    "by": "<criterion>",
    "groups": "<n>",
    "apart": "<what>",
    "use": "<groups>(?:(?:,| and|, and)? <rest>)?",
    "tree": "<parent!>(?: ?(?::|->|>))? <children>",
    "group": "<group>",
    "why": "<sample>",
    "uncertain": "(?:<n>)?",
    "compare": "(?:<attempt>)?",
    "save": "(?:<path>)?",
    "help": "(?:<verb>)?",
}
ALIASES = {"exit": "quit", "q": "quit", "?": "help", "inspect": "group"}

MERGE = "(?:merge|combine|join|unite|lump|fuse)(?: together)?"
MERGED = "(?: (?:together|up))?(?: (?:in)?to (?:one|a single|a)(?: group| cluster)?)?"
AS = (
    "(?:,? (?:as|into|(?:and )?call(?:ed)? (?:it|them|that|the result)|called|named)"
    "(?: (?:a|one|the)(?: new| single)? (?:group|cluster) (?:called|named))? <name>)?"
)
AGAIN = r"(?:re-?)?(?:cluster|group|sort|organi[sz]e|arrange)"
ALL = "(?: (?:it|them|these|everything|all(?: of (?:it|them))?|(?:all )?the (?:images|photos)))?"
GROUPS = "(?:groups|clusters|categories)"
REMOVE = "(?:drop|remove|delete|discard|dissolve|get rid of)"
SHOW = "(?:show(?: me)?|list|display|see|view|give me)"
DOUBTFUL = "(?:uncertain|unsure|doubtful|ambiguous|unclear|borderline|least (?:certain|sure))"
MORE = "(?:(?:, and|,| and)? <rest>)?"
ONES = "(?: (?:ones|images|samples|photos|pictures|cases))?"
OWN = "(?:their|its|a group of (?:their|its)) own(?: group| cluster)?"
THAT = "(?: (?:it|that|this|the last (?:one|edit|step|change|thing)))?"

SENTENCES: tuple[tuple[str, str], ...] = (
    ("undo", f"undo{THAT}|(?:go|step) back(?: (?:a|one) step)?|take (?:it|that|this) back"),
    ("undo", "revert(?: (?:it|that|this|the last (?:one|edit|step|change)))?"),
    ("redo", f"redo{THAT}|undo the undo"),
    ("drop_empty", f"{REMOVE} (?:all )?(?:the )?(?:empty|unused)(?: ones| {GROUPS})?"),
    ("drop_empty", f"{REMOVE} (?:all )?(?:the )?{GROUPS} (?:that are|which are) (?:empty|unused)"),
    ("merge", f"{MERGE} <groups>{MERGED}{AS}"),
    ("merge", f"{MERGE} <groups> with <groups2>{MERGED}{AS}"),
    ("merge", f"put <groups> together(?: in(?:to)? (?:one|a single|a) (?:group|cluster))?{AS}"),
    ("merge", f"put <groups> in(?:to)? (?:one|a single) (?:group|cluster){AS}"),
    ("merge", "<groups!> (?:belong together|are(?: really| all)? (?:the same|one)(?: group)?)"),
    ("merge", "<groups!> (?:should|could) be(?: one| a single| the same) (?:group|cluster)"),
    ("rename", "rename <group> (?:to|as|into|->) <name>"),
    ("rename", "(?:call|name|rename) <group!> <name!>"),
    ("rename", "<group> (?:should|must) be (?:called|named|renamed(?: to)?) <name>"),
    ("rename", "give <group> the name <name>"),
    ("rename", "change the name of <group> (?:to|into) <name>"),
    ("rename", "change <group!> to <name>"),
    ("split", "(?:split|divide|break|separate)(?: up)? <group>(?: up)? (?:into|in|to|as) <into>"),
    ("split", "(?:split|divide|break up) (?:up )?<group!>(?: up| further)?"),
    ("split", "(?:split|divide|break)(?: up)? <group!>(?: up)? into (?:smaller )?(?:groups|parts)"),
    ("wrong", "<samples> (?:is|are|looks?|seems?)(?: all)? (?:wrong|misplaced|incorrect)"),
    ("wrong", "<samples> (?:is|are)(?: all)? in the wrong (?:group|cluster|place)s?"),
    ("wrong", "<samples> (?:doesn't|does not|don't|do not) belong (?:here|there|in there)"),
    ("wrong", "mark <samples> as wrong"),
    ("apart", "(?:put|keep|set|place|leave) (?:all )?(?:the )?<what> (?:apart|aside)"),
    ("apart", f"(?:put|keep|place) (?:all )?(?:the )?<what> (?:separate(?:ly)?|in(?:to)? {OWN})"),
    ("apart", "(?:set (?:apart|aside)|put aside|separate out) (?:all )?(?:the )?<what>"),
    ("move", "(?:move|put|send|assign) <samples> (?:to|into|in|under|with) <group>"),
    ("move", "<samples> (?:should )?(?:belongs?|go(?:es)?) (?:to|in|into|with|under) <group>"),
    ("move", "<samples> should be (?:in|with|under) <group>"),
    ("move", "<samples!> (?:is|are|shows?)(?: really| actually| all)?(?: an?)? <group!>"),
    ("groups", f"(?:make|give|use|find|have|i want|i need|i'd like)(?: it| me| them)?"
               rf"(?: exactly| only| just)? <n> {GROUPS}"),
    ("groups", f"{AGAIN}{ALL} (?:in)?to <n> {GROUPS}|(?:in)?to <n2> {GROUPS}|<n3> {GROUPS}"),
    ("groups", f"(?:reduce|increase|change)(?: it| the number of {GROUPS})? to <n>(?: {GROUPS})?"),
    ("groups", "k ?= ?<n>"),
    ("use", f"use(?: only)?(?: these| the following| the)? {GROUPS} ?:? <groups>{MORE}"),
    ("use", f"(?:the )?{GROUPS} (?:should be|must be|are) ?:? <groups>{MORE}"),
    ("use", f"use(?: only)? ?: <groups>{MORE}"),
    ("use", "use(?: only)? <groups>(?:, and|,| and) <rest>"),
    ("by", f"{AGAIN}{ALL}(?: again)? (?:by|according to) <criterion>"),
    ("by", "by (?!the way)<criterion!>|criterion ?: <criterion2>"),
    ("by", "(?:change|switch|set) (?:the )?criterion to <criterion>"),
    ("by", "(?:use|try) <criterion> as (?:the )?(?:new )?criterion"),
    ("tree", "(?:tree )?<parent!> ?(?::|->|→|>) <children>"),
    ("tree", "<parent!> (?:contains|includes|has|covers|consists of) <children>"),
    ("tree", "<children> (?:is|are) (?:kinds?|types?|parts?|sub-?groups|children) of <parent!>"),
    ("tree", "(?:put|group|nest|file|sort) <children> under <parent!>"),
    ("drop", f"{REMOVE} <groups>"),
    ("report", "(?:show|make|write|open|give|create)?(?: me)?(?: ?the| ?a)? ?report"),
    ("attempts", f"(?:{SHOW} )?(?:all )?(?:the )?attempts|what (?:have you tried|did you try)"),
    ("history", f"(?:{SHOW} )?(?:the |my )?(?:history|edits|changes)|what (?:have|did) i changed?"),
    ("uncertain", f"(?:{SHOW} )?(?:all )?(?:the |your )?(?:<n> )?(?:most )?{DOUBTFUL}{ONES}"),
    ("uncertain", f"(?:which|what)(?: ones| images| samples)? are(?: you)?(?: most)? {DOUBTFUL}"
                  f"(?: of| about)?"),
    ("show", f"{SHOW}(?: all)?(?: the| your)? (?:{GROUPS}|results?|overview)"),
    ("show", f"show|(?:what|which) {GROUPS} (?:are there|do (?:we|you) have|have you found)"),
    ("why", "why (?:is|was|did you put) <sample>(?: not)?(?: (?:here|there|in|with|put) ?.*)?"),
    ("why", "explain <sample>"),
    ("compare", "compare(?: it| this| that)?(?: (?:with|to|against))? (?:the )?<attempt>"),
    ("compare", "compare(?: (?:the )?attempts)?"),
    ("save", "save(?: (?:it|this|that|everything|the results?))?(?: (?:to|as|in|into) <path>)?"),
    ("help", "help(?: me)?(?: with <verb>)?|what can (?:i|you) (?:do|say|type)"),
    ("quit", "quit|exit|bye|good ?bye"),
    ("group", "(?:show|inspect|look at|open|view|describe)(?: me)? (?:what is in )?<group!>"),
    ("group", "what(?:'s| is| are) in(?:side)? <group!>"),
)  # fmt: skip

POLITE = re.compile(
    r"(?:(?:please|ok(?:ay)?|now|then|just|hey|well|so|and|also|let's|lets|let us)\b,?"
    r"|(?P<asked>(?:can|could|would|will) you)|i(?:'d| would) like (?:you )?to"
    r"|i want (?:you )?to) +",
    re.I,
)
AFTER = re.compile(r"(?:,? (?:please|now|thanks|thank you|instead|for me))+$", re.I)
END = re.compile(r"(?:\s*[!?]|(?<!\.)\.)+$")
NEGATED = re.compile(r"\b(?:not|never|cannot|without|dont)\b|n't\b", re.I)
SAYS_WRONG = re.compile(r"(?:doesn't|does not|don't|do not) belong (?:here|there|in there)$", re.I)


def parse(
    text: str,
    groups: Sequence[str],
    samples: Callable[[str], bool] | Collection[str],
    shown: Sequence[str] = (),
) -> Command | None:
    """What a line asks for, as typed: `check` says whether it can be done.

    Args:
        text: What the person typed.
        groups: The groups, in the order in which they are shown ("the second group").
        samples: The ids, or whether a text is one.
        shown: The ids last shown: what "these" means.

    Returns:
        A command with all arguments of its verb; None where a sentence is not understood, wholly
        and without doubt.

    Raises:
        InputError: A typed command (`/merge …`) is unknown or incomplete.
    """
    is_sample = samples if callable(samples) else _among(samples)
    said = straight(text)
    if said.startswith("/"):
        return _typed(said, Reading(groups, is_sample, shown, plain=False))
    if len(said) > LONGEST_SENTENCE or not said.isprintable() or any(map(is_mask, said)):
        return None
    reading = Reading(groups, is_sample, shown, plain=True)
    masked = mask(said, reading)
    if is_mask(masked):
        masked = said  # a group may be called "show me the groups"
    return None if '"' in masked else _sentence(masked, reading)


def _among(ids: Collection[str]) -> Callable[[str], bool]:
    known = functools.cache(lambda: endings(ids))
    return lambda text: text in ids or ending_key(text) in known()


def _typed(text: str, reading: Reading) -> Command:
    name, _, rest = text[1:].partition(" ")
    verb = name.lower().replace("-", "_")
    verb = ALIASES.get(verb, verb)
    if verb not in VERBS:
        raise unknown_verb(name)
    if len(text) > LONGEST_LINE or any(unicodedata.category(c) in ("Cc", "Co", "Cs") for c in text):
        raise InputError(
            f"/{verb}", "the line is too long or holds characters that no name has", "type less"
        )
    masked = mask(rest.strip(), reading)
    if '"' in masked:
        raise InputError(f"/{verb}", "a quotation mark is not closed", "close it")
    args = _match(LINES.get(verb, ""), verb, masked, reading)
    if args is None:
        raise InputError(f"/{verb}", f"cannot be read with {rest!r}", f"write: {VERBS[verb].usage}")
    return command(verb, args)


def unknown_verb(name: str) -> InputError:
    """The complaint about a command that does not exist."""
    return InputError(
        f"/{name}"[:60], "there is no such command", f"choose from: {', '.join(VERBS)}"
    )


def _sentence(text: str, reading: Reading) -> Command | None:
    asked, question = False, text.endswith("?")
    text = END.sub("", text)
    while found := POLITE.match(text):
        text, asked = text[found.end() :], asked or bool(found["asked"])
    text = AFTER.sub("", text)
    refused = NEGATED.search(text) and not SAYS_WRONG.search(text)
    for verb, pattern in SENTENCES:
        if VERBS[verb].edits and (refused or (question and not asked)):
            continue
        args = _match(pattern, verb, text, reading)
        if args is not None:
            return command(verb, args)
    return None


def _match(pattern: str, verb: str, text: str, reading: Reading) -> dict[str, Any] | None:
    """The arguments that a text gives by a pattern; None where it does not fit."""
    compiled, sure = _compile(pattern)
    found = compiled.fullmatch(text)
    if not found:
        return None
    args: dict[str, Any] = {}
    for slot, part in found.groupdict().items():
        if part is None:
            continue
        arg = next(a for a in VERBS[verb].args if a.name == slot.rstrip("23"))
        value = READERS[arg.kind](part, reading, slot in sure)
        if value is None:
            return None
        args[arg.name] = args[arg.name] + value if arg.name in args else value
    too_few = reading.plain and any(_is_short(arg, args) for arg in VERBS[verb].args)
    return None if too_few else args


def _is_short(arg: Arg, args: dict[str, Any]) -> bool:
    return arg.kind in LISTS and arg.name in args and len(args[arg.name]) < arg.least


@functools.cache
def _compile(pattern: str) -> tuple[re.Pattern[str], frozenset[str]]:
    """A pattern with its slots as named groups, and the slots that must be sure."""

    def slot(found: re.Match[str]) -> str:
        name, one = found["name"], found["sure"] and not found["name"].startswith(SEVERAL)
        return f"(?P<{name}>{REST if name == 'rest' else ONE_NAME if one else '.+?'})"

    slots = re.compile(r"<(?P<name>[a-z]+\d?)(?P<sure>!?)>")
    sure = frozenset(m["name"] for m in slots.finditer(pattern) if m["sure"])
    return re.compile(slots.sub(slot, pattern), re.I), sure
