"""Edits that begin another attempt: another criterion, another number of groups, given groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentclust import edits, ictc
from agentclust.attempts import judging
from agentclust.commands import Command
from agentclust.edits import Edit, Grouping
from agentclust.errors import AgentclustError, InputError
from agentclust.models.asking import Asker
from agentclust.tools.assign import assign
from agentclust.tools.caption import caption
from agentclust.tools.label import label
from agentclust.tools.name import name
from agentclust.types import Sample
from agentclust.work import Work

VERBS = ("by", "groups", "use")


def again(work: Work, command: Command, grouping: Grouping) -> Edit:
    """Cluster once more as the person says, in an attempt of its own.

    What is known already is kept: captions unless a model writes them for the new criterion, raw
    labels unless the criterion is new, and where a person put a sample if that group is there.

    Args:
        work: The run.
        command: One of `VERBS`, checked.
        grouping: The result so far.

    Returns:
        The edit, with the attempt's folder.

    Raises:
        InputError: The run has no language model.
        AgentclustError: A step failed; the attempt before is the current one again.
    """
    if not edits.has_model(work):
        why = "clusters again, which needs a language model, and this run has none"
        raise InputError(f"/{command.verb}", why, "edit the groups as they are, see /help")
    before = str(work.run.state["attempt"])
    if not work.run.state.get("result"):
        work.run.update(result=before)
    edit = {"edit": command.verb, **command.args}
    carried = _carried(work) if command.verb == "groups" else []
    changes = _changes(work, command)
    if carried:
        # so many names that as many groups as were asked for are left after the merges
        joined = sum(len(old["groups"]) - 1 for old in carried if old["edit"] == "merge")
        more = changes | {"n_clusters": command.args["n"] + joined}
        new = _attempt(work, edit, _kept(work, command), more)
        try:
            for old in carried:
                new = edits.apply(work, new, old)
        except InputError:  # a group that was merged or renamed is none of the new ones
            carried = []
        if len(new.names) != command.args["n"]:
            carried = []
    if not carried:
        new = _attempt(work, edit, _kept(work, command), changes)
    return (
        edit
        | {"attempt": str(work.run.state["attempt"])}
        | ({"carried": carried} if carried else {})
        | _by_hand(command, grouping, new)
    )


def _carried(work: Work) -> list[Edit]:
    """The merges and names of a person that shall hold for another number of groups."""
    found: list[Edit] = []
    for edit in edits.active(edits.log(work).known.values()):
        if edit["edit"] in ("by", "use"):
            found = []  # other groups altogether
        elif edit["edit"] in ("merge", "rename", "tree"):
            found.append(edit)
    return found


def _attempt(work: Work, edit: Edit, kept: Sequence[str], changes: Mapping[str, Any]) -> Grouping:
    """The grouping of another attempt; where a step fails, the one before is current again."""
    before, samples = str(work.run.state["attempt"]), work.samples
    if edit["edit"] == "by":
        work.samples = _unlabelled(samples)
    work.missing.clear()
    attempt = work.run.begin(edits.described(edit), kept, **changes)
    try:
        caption(work)
        label(work)
        (ictc.name if work.run.about()["given"] else name)(work)
        assign(work)
        judging.score(work)  # and not the tool, which keeps the best attempt: a person has decided
        return edits.grouping_of(work)
    except BaseException as error:
        why = str(error) if isinstance(error, AgentclustError) else type(error).__name__
        listed = work.run.state["attempts"]
        listed = [a | {"failed": why} if a["folder"] == attempt else a for a in listed]
        work.samples = samples
        work.run.update(attempt=before, attempts=listed)
        raise


def _unlabelled(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples without the raw labels that were given: those are for the first criterion.

    Raises:
        InputError: Nothing else is known of any of them.
    """
    if all(s.caption is None and s.file is None for s in samples):
        why = "there are raw labels alone, which say nothing of another criterion"
        raise InputError("/by", why, "start a run over captions or images")
    return tuple(replace(sample, raw_label=None) for sample in samples)


def _kept(work: Work, command: Command) -> list[str]:
    """The steps whose rows the new attempt takes over."""
    if command.verb != "by":
        return ["captions", "labels"]
    written = isinstance(work.captioner, Asker) and any(s.caption is None for s in work.samples)
    return [] if written else ["captions"]


def _changes(work: Work, command: Command) -> dict[str, Any]:
    """Where the new attempt differs from the one before."""
    about, args = work.run.about(), command.args
    k = about["n_clusters"]
    changes: dict[str, Any] = {"by": "ictc", "given": [], "rest": False}
    if command.verb == "by":
        paper = work.run.config.mode == "paper"  # which wants a number
        found = {"criterion": args["criterion"], "asked": args["criterion"]}
        return changes | found | {"n_clusters": k if paper else "auto"}
    if command.verb == "groups":
        given = about.get("given", [])
        if given and args["n"] > len(given):
            changes |= {"given": given, "rest": True}
        return changes | {"n_clusters": args["n"]}
    given = args["groups"]
    if not args["rest"]:
        return changes | {"given": given, "n_clusters": max(len(given), 2)}
    more = k if isinstance(k, int) and k > len(given) else "auto"
    return changes | {"given": given, "rest": True, "n_clusters": more}


def _by_hand(command: Command, before: Grouping, new: Grouping) -> dict[str, Any]:
    """Where a person has put samples, as far as it means the same in the new attempt."""
    placed: dict[str, dict[str, float]] = {}
    for sample_id, row in before.rows.items():
        if row["by"] == "person" and row["name"] in new.names and command.verb != "by":
            placed.setdefault(row["name"], {})[sample_id] = 1.0
    return {"placed": placed} if placed else {}
