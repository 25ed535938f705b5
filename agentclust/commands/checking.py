"""Whether a command can be done as things stand, its names spelt as the groups and ids are."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from agentclust.commands.sentences import unknown_verb
from agentclust.commands.spelling import ending_key, endings, fold, matches, near
from agentclust.commands.verbs import LISTS, VERBS, Arg, Command, Kind, command
from agentclust.errors import InputError

LONGEST_NAME, LONGEST_TEXT = 60, 500
RESERVED = ("none of these", "unassigned")
MOST_LISTED = 20  # groups named in a complaint
MOST_COMPARED = 5000  # ids a misspelling is compared with: more take too long
JOINERS = "\u200c\u200d"  # within the words of some scripts, and emoji


def check(asked: Command, groups: Sequence[str], samples: Collection[str]) -> Command:
    """The command with every name spelt as it exists.

    Groups are found by another case, by the singular or plural, or by a beginning that only one
    of them has; samples by the end of their id, with or without the file's suffix.

    Args:
        asked: From `parse`, or from a model's tool call.
        groups: The groups as they are.
        samples: The ids of all samples.

    Raises:
        InputError: The command cannot be done; nothing is changed.
    """
    if asked.verb not in VERBS:
        raise unknown_verb(asked.verb)
    expected = {arg.name: arg for arg in VERBS[asked.verb].args}
    extra = [name for name in asked.args if name not in expected]
    if extra:
        raise InputError(extra[0], f"/{asked.verb} takes no such argument", _write(asked.verb))
    # a model may write null for what it leaves out
    given = {name: value for name, value in asked.args.items() if value is not None}
    full = command(asked.verb, given)
    for arg in expected.values():
        if arg.name not in full.args:
            raise InputError(f"/{asked.verb}", f"lacks {arg.help}", _write(asked.verb))
        value = full.args[arg.name]
        if value != arg.default or type(value) is not type(arg.default):
            full.args[arg.name] = _value(asked.verb, arg, value, groups, samples)
    rule = RULES.get(asked.verb)
    if rule:
        rule(full.args, groups, samples)
    return full


def _write(verb: str) -> str:
    return f"write: {VERBS[verb].usage}"


def _value(verb: str, arg: Arg, value: Any, groups: Sequence[str], samples: Collection[str]) -> Any:
    if not _fits(arg, value):
        raise InputError(f"{arg.name}={value!r}"[:200], "is of another kind", _write(verb))
    if arg.kind in LISTS:
        return _values(verb, arg, value, groups, samples)
    if arg.kind == "number" and value < arg.least:
        raise InputError(value, f"is less than {arg.least}", _write(verb))
    return CHECKS[arg.kind](value, groups, samples) if arg.kind in CHECKS else value


def _fits(arg: Arg, value: Any) -> bool:
    if arg.kind in LISTS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return type(value) is SCALARS.get(arg.kind, str)  # True is an int, but no number


def _values(
    verb: str, arg: Arg, value: list[str], groups: Sequence[str], samples: Collection[str]
) -> list[str]:
    if arg.kind == "samples":
        found = find_samples(value, samples)
    else:
        found = [CHECKS[arg.kind](item, groups, samples) for item in value]
    # ids may differ by case alone, names may not
    same = str if arg.kind == "samples" else fold
    kept: dict[str, str] = {}
    for item in found:
        kept.setdefault(same(item), item)
    distinct = list(kept.values())
    if len(distinct) < arg.least:
        given = ", ".join(value) or f"/{verb}"
        few = f"at least {arg.least} are needed, and {len(distinct)} is given"
        raise InputError(given[:200], few, _write(verb))
    return distinct


def find_group(text: str, groups: Sequence[str]) -> str:
    """The group that a text means.

    Raises:
        InputError: There is none, or more than one.
    """
    start = fold(text)
    starting = [g for g in groups if len(start) > 1 and fold(g).startswith(start)]
    found = matches(text, groups) or starting
    if len(found) == 1:
        return found[0]
    listed = "the groups are: " + _listed(groups) if groups else "there are no groups yet"
    if found:
        raise InputError(_shown(text), f"could be {_or(found)}", "write the name in full")
    close = near(text, groups)
    guess = f"did you mean {_or(close)}? " if close else ""
    raise InputError(_shown(text), "there is no such group", guess + listed)


def find_samples(texts: Sequence[str], ids: Collection[str]) -> list[str]:
    """The ids that texts mean: in full, or by their end, with or without the file's suffix.

    Raises:
        InputError: One means none of them, or several.
    """
    exact = set(ids)
    ending = {} if exact.issuperset(texts) else endings(ids)
    return [t if t in exact else _sample(t, ending, ids) for t in texts]


def _sample(text: str, ending: Mapping[str, list[str]], ids: Collection[str]) -> str:
    found = ending.get(ending_key(text), [])
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(_shown(text), f"could be {_or(found)}", "write the id in full")
    close = near(text, ids) if len(ids) <= MOST_COMPARED else []
    first = next(iter(ids), None)
    example = f"ids look like {first}" if first is not None else "there are no samples yet"
    todo = f"did you mean {_or(close)}?" if close else example
    raise InputError(_shown(text), "there is no such sample", todo)


def _name(text: str, groups: Sequence[str], samples: Collection[str]) -> str:
    name = _text(text, groups, samples)
    if len(name) > LONGEST_NAME:
        why = f"a name has at most {LONGEST_NAME} characters, and this has {len(name)}"
        raise InputError(_shown(name), why, "choose a shorter name")
    if fold(name) in RESERVED:
        raise InputError(name, "is what samples in no group are called", "choose another name")
    return name


def _same(name: str, groups: Sequence[str]) -> str | None:
    """The group of this name: two groups never differ by case alone."""
    return next((group for group in groups if fold(group) == fold(name)), None)


def _text(text: str, groups: Sequence[str], samples: Collection[str]) -> str:
    kept = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(c).startswith("C") and c not in JOINERS for c in kept):
        raise InputError(_shown(text), "holds a control character", "write it without")
    if not any(unicodedata.category(c)[0] in "LNS" for c in kept):
        raise InputError(_shown(text), "holds no word", "write a word")
    if len(kept) > LONGEST_TEXT:
        raise InputError(
            _shown(kept), f"is longer than {LONGEST_TEXT} characters", "say it shorter"
        )
    return kept


def _verb(text: str, groups: Sequence[str], samples: Collection[str]) -> str:
    if text not in VERBS:
        raise unknown_verb(text)
    return text


SCALARS: dict[Kind, type] = {"number": int, "flag": bool}
CHECKS: dict[Kind, Callable[[str, Sequence[str], Collection[str]], str]] = {
    "group": lambda text, groups, samples: find_group(text, groups),
    "groups": lambda text, groups, samples: find_group(text, groups),
    "name": _name,
    "names": _name,
    "sample": lambda text, groups, samples: find_samples([text], samples)[0],
    "text": _text,
    "attempt": _text,
    "path": _text,
    "verb": _verb,
}


# what holds between the arguments of one command and the groups


def _merge(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    merged, name = args["groups"], args["name"]
    if set(merged) >= set(groups):
        raise InputError(
            _listed(merged), "that is every group: nothing would be left to tell apart",
            "leave out at least one group",
        )  # fmt: skip
    other = _same(name, groups)
    if other is not None and other not in merged:
        raise InputError(
            other, "is another group", f"merge it too (/merge {_listed(merged)}, {other}), "
            "or choose another name",
        )  # fmt: skip


def _rename(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    group, name = args["group"], args["name"]
    other = _same(name, groups)
    if name == group:
        raise InputError(name, "is the group's name already", "choose another name")
    if other not in (None, group):
        raise InputError(name, "is another group", f"merge instead: /merge {group}, {other}")


def _split(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    taken = [name for name in args["into"] if _same(name, groups) not in (None, args["group"])]
    if taken:
        raise InputError(taken[0], "is another group", "choose another name, or move samples there")


def _drop(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    if set(args["groups"]) >= set(groups):
        raise InputError(
            _listed(args["groups"]), "that is every group: none would be left", "leave out one"
        )


def _groups(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    if args["n"] > len(samples):
        raise InputError(args["n"], f"there are {len(samples)} samples", "ask for fewer groups")


def _use(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    args["groups"] = [_same(name, groups) or name for name in args["groups"]]
    if len(args["groups"]) < 2 and not args["rest"]:
        raise InputError(
            args["groups"][0], "one group tells nothing apart", "name another, or add: and the rest"
        )


def _tree(args: dict[str, Any], groups: Sequence[str], samples: Collection[str]) -> None:
    args["parent"] = _same(args["parent"], groups) or args["parent"]
    if args["parent"] in args["children"]:
        raise InputError(args["parent"], "cannot be under itself", _write("tree"))


RULES: dict[str, Callable[[dict[str, Any], Sequence[str], Collection[str]], None]] = {
    "merge": _merge,
    "rename": _rename,
    "split": _split,
    "drop": _drop,
    "groups": _groups,
    "use": _use,
    "tree": _tree,
}


def _shown(text: str) -> str:
    """A text as a complaint can show it: short, printable, never empty."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text).strip()
    return (plain[:LONGEST_NAME] + "…" if len(plain) > LONGEST_NAME else plain) or "''"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _or(names: Sequence[str]) -> str:
    return " or ".join(names[:3])
