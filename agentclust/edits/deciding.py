"""What an edit has to ask: where the samples go that it touches, and no others.

A distinct raw label is asked once; only samples whose label is in doubt go back to their captions.
The answers are put into the edit itself, so that it can be made again without any model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from agentclust import wording
from agentclust.edits.grouping import Edit, Grouping
from agentclust.errors import InputError, RunError
from agentclust.ictc import SURE, counted_labels, naming
from agentclust.models.absent import Absent
from agentclust.types import Choice, Request
from agentclust.work import Work

# of the kind that is wanted apart: small models say it too readily of a caption
LABEL_SURE = 0.9  # a label is taken as a whole
LABEL_OPEN = 0.4  # above this its captions are looked at
CAPTION_SURE = 0.75
LONGEST_NAME = 60
BY_WORDS = 0.5  # confidence where no model could judge

Found = dict[str, tuple[str, float]]  # group and confidence by sample id


def has_model(work: Work) -> bool:
    """Whether the run has a language model."""
    return not isinstance(work.llm.model, Absent)


def decide(
    work: Work, grouping: Grouping, edit: Edit, fresh: Collection[str] | None = None
) -> dict[str, Any]:
    """The edit with all that it leaves open: what is asked, and what only this result tells.

    Where samples go is ``placed``: group, sample id, confidence. A split without names gets them,
    so does a merge, and empty groups are listed, so that the edit means the same for new samples.

    Args:
        work: The run.
        grouping: The grouping before the edit.
        edit: The edit, with what was decided for it before.
        fresh: Samples that were not there then; by default none.

    Raises:
        InputError: It cannot be decided.
        ModelError, BudgetSpent: A question was not answered.
    """
    full = dict(edit)
    if edit["edit"] == "merge" and not edit["name"]:
        sizes = grouping.sizes()
        full["name"] = max(edit["groups"], key=lambda group: sizes.get(group, 0))
    if edit["edit"] == "drop_empty" and "groups" not in edit:
        full["groups"] = [name for name, size in grouping.sizes().items() if not size]
        if not full["groups"]:
            raise InputError("/drop_empty", "no group is empty", "nothing was changed")
    if edit["edit"] not in DECIDED or ("placed" in edit and not fresh):
        return full
    ids = set(grouping.rows if "placed" not in edit else fresh or ())
    with work.paying("edit"):
        full, found = DECIDED[edit["edit"]](work, grouping, full, ids)
    placed = {name: dict(samples) for name, samples in edit.get("placed", {}).items()}
    for sample_id, (name, confidence) in found.items():
        placed.setdefault(name, {})[sample_id] = round(confidence, 4)
    return full | {"placed": placed}


def _split(
    work: Work, grouping: Grouping, edit: dict[str, Any], ids: set[str]
) -> tuple[dict[str, Any], Found]:
    whole = edit["group"]
    members = [i for i in grouping.members(whole) if i in ids]
    if not edit["into"]:
        edit |= {"into": _parts(work, grouping, whole, members), "proposed": True}
    # names that a person gives may differ in something else than the run's criterion
    criterion = "" if edit.get("proposed") else " or ".join(edit["into"])
    # the group's own name as a raw label says nothing of its parts
    found = fitting(work, members, edit["into"], criterion, vague=whole)
    if not found and "placed" not in edit:
        parts = ", ".join(edit["into"])
        why = f"none of its {len(members)} samples fits {parts}"
        raise InputError(whole, why, "choose other names, or move samples yourself")
    return edit, found


def _parts(work: Work, grouping: Grouping, whole: str, members: Sequence[str]) -> list[str]:
    """Names for the parts of a group, out of its members' raw labels alone."""
    labels, _ = counted_labels(work)
    counts = wording.count(labels[i] for i in members if i in labels)
    todo = f"name the parts: /split {whole} into …, …"
    if len(counts) < 2:
        raise InputError(whole, "the raw labels of its samples do not differ", todo)
    others = {name.casefold() for name in grouping.names if name != whole}
    sets: list[Sequence[str]] = [wording.frequent(counts)]
    if has_model(work):
        try:
            sets = [c.names for c in naming.propose(work, counts, k="auto")]
        except RunError:
            sets = []
    for names in sets:
        free = [name for name in names if name.casefold() not in others]
        if len(free) >= 2:
            return free
    raise InputError(whole, "the raw labels of its samples give no names for its parts", todo)


def _wrong(
    work: Work, grouping: Grouping, edit: dict[str, Any], ids: set[str]
) -> tuple[dict[str, Any], Found]:
    found: Found = {}
    if not has_model(work):
        return edit, found
    asked: dict[tuple[str, ...], list[str]] = {}
    for sample_id in edit["samples"]:
        row = grouping.rows[sample_id]
        refused = {row["name"], *row.get("not", ())}
        others = tuple(name for name in grouping.names if name not in refused)
        if sample_id in ids and others:
            asked.setdefault(others, []).append(sample_id)
    for others, samples in asked.items():
        found |= _by_caption(work, samples, others)
    return edit, found


def _drop(
    work: Work, grouping: Grouping, edit: dict[str, Any], ids: set[str]
) -> tuple[dict[str, Any], Found]:
    dropped = set(edit["groups"])
    members = [i for i, row in grouping.rows.items() if row["name"] in dropped and i in ids]
    return edit, fitting(work, members, [n for n in grouping.names if n not in dropped])


def _apart(
    work: Work, grouping: Grouping, edit: dict[str, Any], ids: set[str]
) -> tuple[dict[str, Any], Found]:
    what = edit["what"]
    if len(what) > LONGEST_NAME:
        raise InputError(what, f"is longer than {LONGEST_NAME} characters", "say it shorter")
    if what.casefold() in {name.casefold() for name in grouping.names}:
        raise InputError(what, "is a group already", "look at it: /group")
    members = [i for i in grouping.rows if i in ids]
    found = _of_kind(work, members, what)
    if not found and "placed" not in edit:
        why = "no raw label and no caption tells of it"
        raise InputError(what, why, "word it otherwise, or move the samples yourself")
    return edit, found


DECIDED: dict[
    str, Callable[[Work, Grouping, dict[str, Any], set[str]], tuple[dict[str, Any], Found]]
] = {"split": _split, "wrong": _wrong, "drop": _drop, "drop_empty": _drop, "apart": _apart}


def fitting(
    work: Work, ids: Sequence[str], names: Sequence[str], criterion: str = "", vague: str = ""
) -> Found:
    """The group of each sample among `names`; a sample that fits none of them is left out.

    Args:
        work: The run.
        ids: The samples.
        names: The groups to choose from.
        criterion: What they differ in, by default the attempt's criterion.
        vague: A raw label that tells nothing.
    """
    labels, _ = counted_labels(work)
    spelt = {name.casefold(): name for name in names}
    counts = wording.count(labels[i] for i in ids if i in labels)
    known = {text: (spelt[text], 1.0) for text in counts if text in spelt}
    asked = [text for text in counts if text not in known and text != vague.casefold()]
    if has_model(work):
        for index, choice in naming.choose_labels(work, asked, names, criterion).items():
            best = choice.best
            if best is not None and best < len(names) and choice.probabilities[best] > SURE:
                known[asked[index]] = (names[best], choice.probabilities[best])
    found = {i: known[labels[i]] for i in ids if labels.get(i) in known}
    if has_model(work):
        found |= _by_caption(work, [i for i in ids if i not in found], names, criterion)
    return {i: found[i] for i in ids if i in found}


def _by_caption(work: Work, ids: Sequence[str], names: Sequence[str], criterion: str = "") -> Found:
    found: Found = {}
    for sample_id, choice in choose_captions(work, ids, names, criterion).items():
        *fits, none = choice.probabilities
        best = max(range(len(fits)), key=fits.__getitem__)
        if none <= naming.UNFIT * fits[best]:
            found[sample_id] = (names[best], fits[best])
    return found


def choose_captions(
    work: Work, ids: Sequence[str], names: Sequence[str], criterion: str = ""
) -> dict[str, Choice]:
    """The model's choice among the names and none for each sample, by its caption.

    A sample without a caption is asked by its raw label, one without either is left out.

    Args:
        work: The run.
        ids: The samples.
        names: The groups to choose from.
        criterion: What they differ in, by default the attempt's criterion.
    """
    template = work.run.template("assign")
    captions = work.run.step_rows("captions").known
    labels = work.run.step_rows("labels").known
    known = [i for i in ids if i in captions or i in labels]
    requests = [
        template.render(
            criterion=criterion or work.run.criterion,
            names=names,
            label="" if i in captions else labels[i]["label"],
            caption=captions[i]["caption"] if i in captions else "",
        )
        for i in known
    ]
    return _answers(work, known, requests, [*names, naming.NONE])


def _answers(
    work: Work, asked: Sequence[str], requests: Sequence[Request], options: Sequence[str]
) -> dict[str, Choice]:
    """The model's choice for each request, by what it is about."""
    answers: dict[str, Choice] = {}
    with work.reporter.step("edit", len(asked)) as advance:
        for index, answer in work.llm.choose(requests, options):
            if isinstance(answer, Choice) and answer.probabilities:
                answers[asked[index]] = answer
            advance()
    return answers


def _of_kind(work: Work, ids: Sequence[str], what: str) -> Found:
    """The samples of one kind, by their raw labels and by the captions that those leave open.

    Where no label may be of the kind, it is another matter than the criterion, and every caption
    is asked.
    """
    labels, _ = counted_labels(work)
    captions = work.run.step_rows("captions").known
    naming_it = {i for i in ids if i in captions and _says(captions[i]["caption"], what)}
    if not has_model(work):
        by_label = {i for i in ids if i in labels and _says(labels[i], what)}
        return {i: (what, BY_WORDS) for i in ids if i in by_label | naming_it}
    texts = list(dict.fromkeys(labels[i] for i in ids if i in labels))
    template = work.run.template("apart-label")
    requests = [template.render(what=what, label=text) for text in texts]
    chosen = _answers(work, texts, requests, ["yes", "no"])
    likely = {text: choice.probabilities[0] for text, choice in chosen.items()}
    sure = {text: p for text, p in likely.items() if p > LABEL_SURE}
    found = {i: (what, sure[labels[i]]) for i in ids if labels.get(i) in sure}
    shut = {text for text, p in likely.items() if p <= LABEL_OPEN}
    if len(shut) == len(texts):
        shut.clear()
    left = [i for i in ids if i in captions and i not in found]
    asked = [i for i in left if i in naming_it or labels.get(i) not in shut]
    template = work.run.template("apart")
    requests = [template.render(what=what, caption=captions[i]["caption"]) for i in asked]
    for sample_id, choice in _answers(work, asked, requests, [what, naming.NONE]).items():
        if choice.probabilities[0] > CAPTION_SURE:
            found[sample_id] = (what, choice.probabilities[0])
    return {i: found[i] for i in ids if i in found}


def _says(text: str, what: str) -> bool:
    """Whether a text holds all the words, but for their endings."""
    words = re.findall(r"\w+", text.lower())
    stems = [word[: max(4, len(word) - 2)] for word in re.findall(r"\w+", what.lower())]
    return bool(stems) and all(any(word.startswith(stem) for word in words) for stem in stems)
