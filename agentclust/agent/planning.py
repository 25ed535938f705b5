"""What comes next in an agent's run, and what may be chosen where that needs judgement.

Knows nothing of LangGraph or messages: what was done, the run's artefacts, and out comes a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agentclust.attempts import judging
from agentclust.attempts.judging import Finding
from agentclust.ictc import sparing
from agentclust.models.asking import Asker
from agentclust.work import Work

OPENING = ("look", "caption", "label", "name", "assign", "score")
WORDED = {"name_again": 2, "refine": 1}  # how often a tool with free words may be tried
LOOKS = ("inspect", "compare", "ask")  # for models that can make use of more than one turn
REMEDIES = ("group", "name_again", "ask_again", "split", "merge", "choose_k", "refine")


@dataclass(frozen=True, slots=True)
class Step:
    """A tool, its arguments, and why it is called."""

    tool: str
    args: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was done.

    Attributes:
        tool: The tool.
        args: Its arguments.
        failure: Empty, "error" where the tool could not do it, or "stop" where the model or the
            budget is at its end.
        text: What the tool answered.
    """

    tool: str
    args: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    text: str = ""


def planned(work: Work, done: Sequence[Done]) -> Step | None:
    """The next step, where none but one is right; None where the model has to judge."""
    if not work.run.state["result"]:
        return _opening(work, done)
    last = done[-1]
    if last.tool in ("cluster", "fill") and not last.failure:
        return Step("finish", {"why": "this is the fallback"}, "nothing else is left to try")
    if last.failure == "stop":
        return rescue(work, last.text)
    if _named_first(work) and "group" not in {s.tool for s in done}:
        return Step("group", {}, "the names came first, and likeness asks next to nothing")
    counted = bool(work.run.step_rows("groups").known) or "choose_k" in {s.tool for s in done}
    if work.run.n_clusters == "auto" and not counted:
        return Step("choose_k", {}, "no number of groups was asked for")
    rounds = sum(step.tool in REMEDIES for step in done)
    looks = sum(step.tool in LOOKS for step in done)
    if max(rounds, looks) >= work.run.config.max_rounds:
        return Step("finish", {"why": f"{rounds} rounds are done"}, "no more rounds")
    chosen = options(work, judging.findings(work), done)
    if len(chosen) > 1:
        return None
    return chosen[0] if chosen else Step("finish", {"why": "nothing to mend"}, "it is good enough")


def _named_first(work: Work) -> bool:
    """Whether names were to come first, and groups could be found by likeness besides."""
    config, about = work.run.config, work.run.about()
    wished = config.grouping == "names" and config.max_rounds > 0 and not about.get("given")
    return wished and about["by"] == "ictc" and sparing.possible(work)


def _opening(work: Work, done: Sequence[Done]) -> Step | None:
    """The steps of IC|TC, as long as no attempt is complete, and what to do where one fails."""
    last = done[-1] if done else Done("")
    tools = {step.tool for step in done if not step.failure}
    if last.tool == "embed" and not last.failure:
        return Step("cluster", dict(last.args), last.args["why"])
    few = last.tool == "name" and last.failure == "error"  # too few labels for so many names
    if few and judging.n_labels(work) > 1:
        return Step("choose_k", {}, last.text)
    if last.failure and last.tool != "refine" and last.tool not in LOOKS:
        return rescue(work, last.text)
    if "caption" in tools and "label" not in tools:
        unseen = judging.visible(work)
        if unseen:
            return fallback(work, unseen.text, "image")
    if "label" in tools and "name" not in tools:
        found = judging.answerable(work)
        refined = any(step.tool in ("refine", *LOOKS) for step in done)
        if found and isinstance(work.captioner, Asker) and work.run.config.max_rounds:
            return fallback(work, found.text, "image") if refined else None
        if found:
            return fallback(work, found.text, "image")
    missing = [tool for tool in OPENING if tool not in tools]
    return Step(missing[0], {}, "the steps of IC|TC come first")


def rescue(work: Work, why: str) -> Step:
    """What still gives a complete result when the models or the budget are at their end."""
    run = work.run
    if run.state["result"]:
        return Step("finish", {"why": why}, "an attempt is complete")
    assigned = [r for r in run.step_rows("assignments").known.values() if r["cluster"] >= 0]
    if len(assigned) >= len(work.samples) / 5:
        return Step("fill", {"why": why}, "most of the names and some assignments are there")
    return fallback(work, why)


def fallback(work: Work, why: str, first: str = "text") -> Step:
    """The first step towards groups that need no language model.

    Args:
        work: The run.
        why: The reason.
        first: What to embed, "text" or "image", where both are there.
    """
    return Step("embed", {"of": _seen_by(work, first), "why": why}, "no language model is needed")


def _seen_by(work: Work, first: str = "text") -> str:
    """What can be embedded: captions, else images; the other way round where captions are mute."""
    there = {
        "text": bool(work.run.step_rows("captions").known),
        "image": any(s.file is not None for s in work.samples),
    }
    return first if there[first] else next((of for of, known in there.items() if known), first)


def findings(work: Work, done: Sequence[Done]) -> list[Finding]:
    """What is wrong, for a decision of the model."""
    if work.run.state["result"]:
        return judging.findings(work)
    found = judging.answerable(work)
    return [found] if found else []


def options(work: Work, found: Sequence[Finding], done: Sequence[Done]) -> list[Step]:
    """The steps that may mend what was found, those tried before left out."""
    steps: list[Step] = []
    for finding in found:
        steps += _remedies(work, finding)
    kept: list[Step] = []
    for step in steps:
        before = [old for old in done if old.tool == step.tool]
        again = sum(step.tool in WORDED or old.args == step.args for old in before)
        if again < WORDED.get(step.tool, 1) and step.tool not in {old.tool for old in kept}:
            kept.append(step)
    return kept


def _remedies(work: Work, finding: Finding) -> list[Step]:
    advice = Step("name_again", {"advice": finding.text}, finding.text)
    match finding.kind:
        case "unanswerable":
            by_likeness = {"of": _seen_by(work, "image"), "why": finding.text}
            refine = Step("refine", {"criterion": work.run.criterion}, finding.text)
            return [refine, Step("cluster", by_likeness, finding.text)]
        case "doubtful":
            return [Step("ask_again", {}, finding.text), advice]
        case "confused":
            first, second = finding.groups
            return [Step("merge", {"first": first, "second": second}, finding.text), advice]
        case "swallows":
            return [Step("split", {"group": finding.groups[0]}, finding.text), advice]
        case "unheard":
            return [Step("refine", {"criterion": work.run.criterion}, finding.text), advice]
        case "uncovered" | "empty" | "uninformed":
            return [advice]
    return []


def story(work: Work) -> list[str]:
    """The attempts so far, a line each: what was tried, and what it gave."""
    lines = []
    for about in work.run.state["attempts"]:
        if about["by"] not in ("ictc", "paper"):
            continue  # a fallback that a resumed run has taken back
        found = work.run.read_of(about["folder"], "clusters.json") or {}
        scores = work.run.read_of(about["folder"], "scores.json") or {}
        best = ", the best so far" if about["folder"] == work.run.state["result"] else ""
        lines.append(
            f"{about['folder']} ({about['why']}): {', '.join(found.get('names', ()))}; "
            f"quality {scores.get('quality', 0):.3f}{best}"
        )
    return lines
