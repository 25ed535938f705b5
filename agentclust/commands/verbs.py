"""The verbs of a session as data: what each is called, takes and does.

Help, completion, the checks and the tool definitions a model reads all come from this one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "group", "groups", "name", "names", "sample", "samples",
    "number", "flag", "text", "attempt", "path", "verb",
]  # fmt: skip
TYPES: dict[Kind, str] = {"number": "integer", "flag": "boolean"}
LISTS: tuple[Kind, ...] = ("groups", "names", "samples")
WRITTEN_AS_IS: tuple[Kind, ...] = ("text", "attempt", "path", "verb", "number")
# words that a line is taken apart at: a name that is one of them needs quotes
JOINING = ("and", "with", "to", "as", "into", "in", "the", "rest", "others", "everything", "all",
           "these", "those", "them", "they")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a verb.

    Attributes:
        name: Its key in a command's args.
        kind: What it is: an existing group, a new name, a sample id, a number, a flag, text; the
            plural is a list.
        help: What it means, for a person and a model.
        default: Its value where it is not given; None where it must be given.
        least: The fewest items of a list, the least value of a number.
        lead: The word before it in a typed line.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    least: int = 1
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: how it is typed, an example, one line of help, what it takes, what it changes.

    Attributes:
        usage: The line to type, arguments in capitals.
        example: A line that can be typed.
        help: One sentence, for /help, completion and the model's tool definition.
        args: The arguments in the order they are typed.
        edits: Whether it changes the result.
    """

    usage: str
    example: str
    help: str
    args: tuple[Arg, ...] = ()
    edits: bool = False


@dataclass(frozen=True)
class Command:
    """What a person asked for: a verb of `VERBS` and its arguments, as JSON could hold them."""

    verb: str
    args: dict[str, Any] = field(default_factory=dict)


VERBS: dict[str, Verb] = {
    "merge": Verb(
        "/merge GROUP, GROUP, … [as NAME]",
        "/merge violin, cello as strings",
        "Make one group of two or more groups.",
        (
            Arg("groups", "groups", "the groups to merge", least=2),
            Arg("name", "name", "the new group's name; empty keeps a name", "", lead="as"),
        ),
        edits=True,
    ),
    "rename": Verb(
        "/rename GROUP to NAME",
        "/rename violin to fiddle",
        "Give a group another name; its samples stay.",
        (
            Arg("group", "group", "the group to rename"),
            Arg("name", "name", "its new name", lead="to"),
        ),
        edits=True,
    ),
    "split": Verb(
        "/split GROUP [into NAME, NAME, …]",
        "/split outdoor into city, nature",
        "Divide one group into several; without names the model proposes them.",
        (
            Arg("group", "group", "the group to split"),
            Arg("into", "names", "the new groups; empty lets the model propose", [], 2, "into"),
        ),
        edits=True,
    ),
    "move": Verb(
        "/move SAMPLE, … to GROUP",
        "/move img_12, img_13 to harp",
        "Put samples into the group they belong to.",
        (
            Arg("samples", "samples", "the ids of the samples to move"),
            Arg("group", "group", "the group they belong to", lead="to"),
        ),
        edits=True,
    ),
    "wrong": Verb(
        "/wrong SAMPLE, …",
        "/wrong img_3, img_4",
        "Say that samples are in the wrong group, so that they are assigned again.",
        (Arg("samples", "samples", "the ids of the samples in a wrong group"),),
        edits=True,
    ),
    "drop": Verb(
        "/drop GROUP, …",
        "/drop violin, cello",
        "Take groups away; their samples are assigned to the other groups.",
        (Arg("groups", "groups", "the groups to take away"),),
        edits=True,
    ),
    "drop_empty": Verb(
        "/drop_empty",
        "/drop_empty",
        "Take away the groups that hold no sample.",
        edits=True,
    ),
    "by": Verb(
        "/by CRITERION",
        "/by mood",
        "Cluster all samples again by another criterion.",
        (Arg("criterion", "text", "the new criterion, in plain words"),),
        edits=True,
    ),
    "groups": Verb(
        "/groups NUMBER",
        "/groups 6",
        "Cluster again into this number of groups.",
        (Arg("n", "number", "how many groups", least=2),),
        edits=True,
    ),
    "apart": Verb(
        "/apart WHAT",
        "/apart screenshots",
        "Put one kind of image into a group of its own.",
        (Arg("what", "text", "the kind of image, in plain words"),),
        edits=True,
    ),
    "use": Verb(
        "/use NAME, NAME, … [and the rest]",
        "/use cats, dogs and the rest",
        "Cluster into these groups; with the rest, add whatever other groups are found.",
        (
            Arg("groups", "names", "the names of the groups"),
            Arg("rest", "flag", "whether other groups may be added", False, lead="and the rest"),
        ),
        edits=True,
    ),
    "tree": Verb(
        "/tree PARENT: GROUP, …",
        "/tree strings: violin, cello",
        "Put groups under a parent; they stay groups of their own.",
        (
            Arg("parent", "name", "the parent's name"),
            Arg("children", "groups", "the groups under it", lead=":"),
        ),
        edits=True,
    ),
    "undo": Verb("/undo", "/undo", "Take the last edit back.", edits=True),
    "redo": Verb("/redo", "/redo", "Make the edit again that was taken back.", edits=True),
    "show": Verb("/show", "/show", "Show the groups and their sizes."),
    "group": Verb(
        "/group GROUP",
        "/group violin",
        "Show what is in one group.",
        (Arg("group", "group", "the group to look at"),),
    ),
    "why": Verb(
        "/why SAMPLE",
        "/why img_7",
        "Show why a sample is in its group: caption, raw label, probabilities.",
        (Arg("sample", "sample", "the sample's id"),),
    ),
    "uncertain": Verb(
        "/uncertain [NUMBER]",
        "/uncertain 20",
        "Show the samples whose group is least certain.",
        (Arg("n", "number", "how many to show", 10),),
    ),
    "compare": Verb(
        "/compare [ATTEMPT]",
        "/compare 1",
        "Compare the result with another attempt.",
        (Arg("attempt", "attempt", "the attempt's number or folder, or 'previous'", ""),),
    ),
    "attempts": Verb("/attempts", "/attempts", "List the attempts and their internal scores."),
    "history": Verb("/history", "/history", "List the edits made so far."),
    "save": Verb(
        "/save [PATH]",
        "/save result.csv",
        "Write the result as it stands now.",
        (Arg("path", "path", "the file to write; empty is the run's own", ""),),
    ),
    "report": Verb("/report", "/report", "Write the report page."),
    "help": Verb(
        "/help [VERB]",
        "/help merge",
        "Say what can be typed.",
        (Arg("verb", "verb", "the verb to explain", ""),),
    ),
    "quit": Verb("/quit", "/quit", "End the session; everything is kept."),
}


def command(verb: str, given: Mapping[str, Any]) -> Command:
    """A command with every argument of its verb: what is not given has its default."""
    args = VERBS[verb].args
    unsaid = {arg.name: copy(arg.default) for arg in args if arg.default is not None}
    full = unsaid | dict(given)
    return Command(verb, {arg.name: full[arg.name] for arg in args if arg.name in full})


def quoted(name: str) -> str:
    """A name as it can be typed: in quotes where it would be read as several."""
    if re.fullmatch(r"[\w.][\w./-]*", name) and name.lower() not in JOINING:
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def line(asked: Command) -> str:
    """The line that `parse` reads as this command; for a list of edits.

    Args:
        asked: A command that `check` has let through.
    """
    words = f"/{asked.verb}"
    for arg in VERBS[asked.verb].args:
        value = asked.args.get(arg.name, arg.default)
        if value == arg.default:
            continue
        lead = arg.lead if arg.lead in ("", ":") else f" {arg.lead}"
        shown = "" if arg.kind == "flag" else f" {_typed(arg, value)}"
        words += lead + shown
    return words


def _typed(arg: Arg, value: Any) -> str:
    if arg.kind in LISTS:
        return ", ".join(map(quoted, value))
    return str(value) if arg.kind in WRITTEN_AS_IS else quoted(value)


def schemas(verbs: Iterable[str] = tuple(VERBS)) -> list[dict[str, Any]]:
    """Tool definitions as OpenAI's API takes them, one a verb.

    Args:
        verbs: Names of verbs.
    """
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": VERBS[name].help,
                "parameters": {
                    "type": "object",
                    "properties": {arg.name: _property(arg) for arg in VERBS[name].args},
                    "required": [a.name for a in VERBS[name].args if a.default is None],
                    "additionalProperties": False,
                },
            },
        }
        for name in verbs
    ]


def _property(arg: Arg) -> dict[str, Any]:
    said: dict[str, Any] = {"description": arg.help}
    if arg.kind in LISTS:
        # an optional list may be empty, so only a list that must be given has a least length
        least = {"minItems": arg.least} if arg.default is None else {}
        return said | {"type": "array", "items": {"type": "string"}} | least
    least = {"minimum": arg.least} if arg.kind == "number" else {}
    default = {} if arg.default is None else {"default": arg.default}
    return said | {"type": TYPES.get(arg.kind, "string")} | least | default
