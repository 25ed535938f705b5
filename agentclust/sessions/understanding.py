"""What a person means where no pattern of `agentclust.commands` says it: the model calls a tool.

The model sees the person's words and nothing of the images, captions, labels or groups. What it
says is taken only where it stands in those words; anything else is asked back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentclust import commands, wording
from agentclust.commands import VERBS, Command
from agentclust.commands.spelling import fold, matches, near, straight
from agentclust.errors import InputError
from agentclust.types import Call
from agentclust.work import Work

LONGEST = 600  # characters of a sentence
LONGEST_QUESTION = 200
NEVER_CALLED = ("quit", "help")
PLAIN = ("previous",)  # what an argument may be without having been said
THESE = ("these", "those", "them", "they", "it", "this", "that")

OWN_TOOLS = (
    (
        "clarify",
        "Ask the person one short question where it is unclear what is wanted.",
        "question",
    ),
    ("outside", "The person asks for something that no other tool does.", ""),
)
# a word of the kind must be there, or the person is asked: a small model calls a tool for anything
CUES = {
    "merge": r"merg|combin|join|unite|unify|together|same|one\b|single|lump|fuse|collapse|pool|"
             r"fold|toss|with\b|equal|synonym|into\b|bundle|blend",
    "rename": r"renam|call|name|title|label|instead of|should (?:be|read|say)|relabel|known as|"
              r"chang|word|term",
    "split": r"split|divid|break|separat|apart|into\b|two|three|four|several|distinguish|tell|"
             r"broad|coarse|finer|parts",
    "move": r"mov|belong|put|goes?\b|should|send|transfer|place|shift|assign|\bis\b|\bare\b|in\b|"
            r"actually|really|clearly|to\b|into\b|looks?\b",
    "wrong": r"wrong|mistake|incorrect|not\b|n't\b|misplac|error|bad|off\b|astray|nothing to do",
    "drop": r"drop|remov|delet|discard|rid|away|out\b|without|no longer|need|dissolv|kill|scrap|"
            r"\bgo\b|no use|useless",
    "drop_empty": r"empt|nothing in|no (?:image|sample|photo|picture)s?|unused|without any|nobody|"
                  r"no one|no members?",
    "by": r"\bby\b|according|criteri|based|cluster|group|sort|organi[sz]|instead|terms|around|on\b",
    "groups": r"group|cluster|categor|into|in\b|many|few|number|of them",
    "apart": r"apart|separate|own|aside|alone|isolat|away|themsel|itself|distinct|out\b",
    "use": r"use|using|only|these|groups?|categor|classes|want|should be|just",
    "tree": r"under|parent|kinds?|types?|belong|contain|child|nest|hierarch|famil|sub",
    "undo": r"undo|back|revert|cancel|oops|mistake|forget|take|before|previous|scrap",
    "redo": r"redo|again|back|after all|restor|undid|undone",
    "show": r"show|list|see\b|look|groups?|cluster|result|overview|how many|size|stand",
    "uncertain": r"sure|certain|doubt|ambig|unclear|trouble|hard|difficult|confus|border|worst|"
                 r"confiden|struggl",
    "compare": r"compar|differ|chang|before|first|better|than\b|against|versus|\bvs",
    "attempts": r"attempt|tried|\btry|runs?\b|version",
    "history": r"history|edit|chang|\bdid\b|done|so far|\blog",
    "save": r"sav|writ|export|stor|csv|file|keep",
    "report": r"report|page|html",
}  # fmt: skip
ORDERS = {
    "merge": r"merg|combin|join\b|unite",
    "split": r"split|divid",
    "rename": r"renam",
    "drop": r"drop|delet|remov|discard",
    "undo": r"undo|revert",
    "redo": r"redo|undid|undone|bring\b.*\bback",
}
NEGATED = re.compile(r"\b(?:not|never|cannot|dont)\b|n't\b", re.I)
ASKED_TO = re.compile(r"\b(?:can|could|would|will) you\b|\bplease\b", re.I)


@dataclass(frozen=True)
class Known:
    """What a line may be about.

    Attributes:
        groups: The groups as they are.
        is_sample: Whether a text is the id of a sample.
        shown: The ids last shown: what "these" means.
    """

    groups: Sequence[str]
    is_sample: Callable[[str], bool]
    shown: Sequence[str]


@dataclass(frozen=True)
class Understood:
    """What the model made of a line.

    Attributes:
        command: What is asked for, not yet checked; None where that is unclear.
        question: What to ask back: instead of the command, or before it is done.
        outside: Whether the person asked for something that a session does not do.
    """

    command: Command | None = None
    question: str = ""
    outside: bool = False


def understand(work: Work, said: str, earlier: str, question: str, known: Known) -> Understood:
    """What a line asks for, by the model's tool call.

    Args:
        work: The run.
        said: The line.
        earlier: The line before, where a question was asked about it.
        question: That question.
        known: What the line may be about; the model is not told.

    Raises:
        InputError: The line is too long, or the model gives no answer to it.
        ModelError, BudgetSpent: The model failed.
    """
    if len(said) > LONGEST:
        why = "the line is too long to be one request"
        raise InputError(said[:40] + "…", why, "say it shorter")
    request = work.run.template("command").render(said=said, earlier=earlier, question=question)
    with work.paying("command"):
        answer = work.llm.call(request, tools())
    if not isinstance(answer, Call):
        raise InputError(said[:60], f"the model {answer.reason}", "type /help")
    return read(answer, f"{earlier} {said}" if earlier else said, known)


def tools() -> list[dict[str, Any]]:
    """Definitions of the verbs, and of what to call where none of them is meant."""
    verbs = [verb for verb in VERBS if verb not in NEVER_CALLED]
    return commands.schemas(verbs) + [_tool(*tool) for tool in OWN_TOOLS]


def _tool(name: str, description: str, argument: str) -> dict[str, Any]:
    properties = {argument: {"type": "string"}} if argument else {}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    described = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": described}


def read(call: Call, words: str, known: Known) -> Understood:
    """A tool call held against the person's words.

    Args:
        call: What the model called.
        words: All that the person said of it.
        known: What the words may be about.
    """
    if call.name == "outside":
        return Understood(outside=True)
    if call.name not in VERBS or call.name in NEVER_CALLED:
        asked = str(call.args.get("question") or call.text)
        return Understood(question=_short(asked) or "What shall I change?")
    given = {name: value for name, value in call.args.items() if value is not None}
    args = _with_shown(call.name, given, known.shown)
    needed, extra = _unsaid(call.name, args, words, known.shown)
    if needed:
        return Understood(
            question=f"I am not sure what you mean. If it is {VERBS[call.name].usage}, say the "
            "names that it needs; else say it in other words."
        )
    command = Command(call.name, {name: args[name] for name in args if name not in extra})
    doubt = "I am not sure." if extra else _doubt(command, words, known)
    return Understood(command, f"{doubt} Do you mean {{line}}? Say yes or no." if doubt else "")


def _with_shown(verb: str, args: dict[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    """The arguments with "these" as the ids last shown."""
    full = dict(args)
    for arg in VERBS[verb].args:
        value = full.get(arg.name)
        if arg.kind == "samples" and isinstance(value, list) and shown:
            these = len(value) == 1 and fold(str(value[0])) in THESE
            full[arg.name] = list(shown) if these else value
        elif arg.kind == "sample" and len(shown) == 1 and fold(str(value)) in THESE:
            full[arg.name] = shown[0]
    return full


def _unsaid(
    verb: str, args: dict[str, Any], words: str, shown: Sequence[str]
) -> tuple[list[Any], set[str]]:
    """The needed values, and the names of optional ones, that the person has not said."""
    needed: list[Any] = []
    extra: set[str] = set()
    for arg in VERBS[verb].args:
        value = args.get(arg.name, arg.default)
        if value == arg.default or isinstance(value, bool) or value in PLAIN:
            continue
        for item in _items(value):
            seen = item in shown if arg.kind in ("sample", "samples") else False
            if seen or _is_said(item, words):
                continue
            if arg.default is None:
                needed.append(item)
            else:
                extra.add(arg.name)
    return needed, extra


def _is_said(value: Any, words: str) -> bool:
    """Whether a value stands in the words, but for case, endings and small slips."""
    text = fold(straight(words))
    if isinstance(value, int):
        spelt = wording.NUMBERS[value] if 0 <= value < len(wording.NUMBERS) else str(value)
        return re.search(rf"\b(?:{value}|{spelt})\b", text) is not None
    wanted = fold(str(value))
    if wanted in text:
        return bool(wanted)
    said = re.findall(r"\w+", text)
    parts = re.findall(r"\w+", wanted)
    return bool(parts) and all(_near_word(part, said) for part in parts)


def _near_word(word: str, said: Iterable[str]) -> bool:
    said = list(said)
    merged = wording.merge({text: 1 for text in [word, *said]})
    return merged[word] in map(merged.get, said) or (len(word) > 3 and bool(near(word, said)))


def _doubt(command: Command, words: str, known: Known) -> str:
    """Why a person should be asked before this is done; empty where nothing speaks against it."""
    text = straight(words)
    cue = CUES.get(command.verb)
    if cue and not re.search(rf"\b(?:{cue})", text, re.I):
        return "I am not sure."
    if not VERBS[command.verb].edits:
        return ""
    orders = {order for order, sign in ORDERS.items() if re.search(rf"\b(?:{sign})", text, re.I)}
    if len(orders) > 1:
        return "That is more than one thing, and I do one at a time."
    if orders and command.verb not in orders:
        return "I am not sure."
    if NEGATED.search(text) and command.verb != "wrong":
        return "I am not sure, since you say not."
    if text.endswith("?") and not ASKED_TO.search(text):
        return "You ask, and I am not sure."
    missed = _missed(command, text, known)
    return f"You also said {missed}." if missed else ""


def _missed(command: Command, text: str, known: Known) -> str:
    """A group or sample that the person named and the command leaves out."""
    taken = [v for value in command.args.values() for v in _items(value) if isinstance(v, str)]
    rest = fold(text)
    for value in sorted(map(fold, taken), key=len, reverse=True):
        rest = rest.replace(value, " ")
    words = re.findall(r"[^\s,;:!?\"']+", rest)
    groups = [group for word in words for group in matches(word.rstrip("."), known.groups)]
    named = [g for g in groups if not any(matches(value, [g]) for value in taken)]
    ids = [w for w in words if known.is_sample(w) and w not in taken]
    return next(iter([*named, *ids]), "")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short(text: str) -> str:
    """A model's question as one line."""
    line = " ".join(text.split())
    return line[:LONGEST_QUESTION] + "…" if len(line) > LONGEST_QUESTION else line
