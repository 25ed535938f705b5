"""Other names over the same labels: further attempts of a run, and keeping the best of them.

Each gives names, assigns and scores as the first attempt did. The attempt of the best quality is
the run's result; all of them stay and can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agentclust import ictc, wording
from agentclust.attempts import judging
from agentclust.errors import InputError, RunError
from agentclust.ictc import naming, sparing
from agentclust.plugins import unknown
from agentclust.types import Reply
from agentclust.work import Work

KEPT = ("captions", "labels")
CANDIDATES = 40  # names that choosing K begins with
GIVEN_AWAY = 0.5  # probability of another name, and over twice that of none, for a merge
FAR_OFF = 0.7  # the number of groups asked for, of what there seem to be, or the other way round
RARE = 0.02  # share of the samples below which a label is no candidate of its own


def attempt(work: Work, names: Sequence[str], source: str, why: str, **changes: Any) -> str:
    """Begin an attempt with these names, assign and score it, and keep the better one.

    Args:
        work: The run.
        names: The names.
        source: Where they come from.
        why: What the attempt tries.
        changes: As of `Run.begin`.

    Raises:
        RunError: The names are those of an attempt before.
    """
    if sorted(names) in _tried(work):
        raise RunError("the names", "are those of an attempt before", "try something else")
    work.run.begin(why, KEPT, **changes)
    ictc.keep_names(work, [naming.Candidate(tuple(names), source, 0.0)])
    ictc.assign(work)
    judging.score(work)
    return settle(work)


def _tried(work: Work) -> list[list[str]]:
    """The names of every attempt but the one that the tool at work has begun."""
    begun = work.run.begun()
    others = [about["folder"] for about in work.run.state["attempts"] if about != begun]
    found = [work.run.read_of(folder, "clusters.json") for folder in others]
    return [sorted(clusters["names"]) for clusters in found if clusters]


def settle(work: Work) -> str:
    """Keep the better of the current attempt and the result so far, and say which it is."""
    new, best = work.run.state["attempt"], work.run.state["result"]
    if not best or new == best:
        work.run.update(result=new)
        return f"attempt {new}"
    quality = {folder: work.run.read_of(folder, "scores.json")["quality"] for folder in (new, best)}
    better = quality[new] > quality[best]
    word = "better" if better else "not better"
    if better:
        work.run.update(result=new)
    work.run.turn_to(work.run.state["result"])
    return f"attempt {new}: quality {quality[new]:.3f}, {word} than {quality[best]:.3f} of {best}"


def name_again(work: Work, advice: str) -> str:
    """Several new sets of names by the model, with advice; the best by its sampled check."""
    _, counts = ictc.counted_labels(work)
    with work.paying("name"):
        candidates = naming.propose(work, counts, advice)
    new = [c for c in candidates if sorted(c.names) not in _tried(work)]
    if not new:
        raise RunError("the model", "proposes no names that were not tried", "try something else")
    return attempt(work, new[0].names, new[0].source, f"named again: {advice}")


def group(work: Work) -> str:
    """Groups found by likeness and then named, beside names that came first.

    Raises:
        RunError: Likeness tells no groups.
    """
    work.run.begin("groups by likeness, named afterwards", KEPT)
    if not ictc.name_by_likeness(work):
        work.run.turn_to(work.run.base())
        raise RunError("the captions", "tell no groups by likeness", "try something else")
    ictc.assign(work)
    judging.score(work)
    return settle(work)


def split(work: Work, group: str) -> str:
    """Two or more names in place of one, proposed from the raw labels of its members."""
    names, rows = _base_of(work)
    _must_be_there(group, names)
    labels, _ = ictc.counted_labels(work)
    inside = wording.count(
        text for i, text in labels.items() if rows[i]["name"] == group and text != group
    )
    if len(inside) < 2:
        raise RunError(group, "its members have one raw label", "split another group")
    template = work.run.template("names")
    request = template.render(
        criterion=work.run.criterion, k=2, labels=list(inside.items()), hint=f" within {group}"
    )
    with work.paying("name"):
        _, reply = next(work.llm.complete([request], 30))
    parts = naming.parse(reply.text) if isinstance(reply, Reply) else []
    parts = [part for part in parts if part not in names][:2] or list(inside)[:2]
    others = [name for name in names if name != group]
    return _refitted(work, [*others, *parts], f"split {group} into {' and '.join(parts)}")


def merge(work: Work, first: str, second: str) -> str:
    """One name in place of two, that of the larger group."""
    names, rows = _base_of(work)
    for group in (first, second):
        _must_be_there(group, names)
    if first == second:
        raise InputError(first, "is one group, not two", "name two different groups")
    sizes = wording.count(row["name"] for row in rows.values())
    smaller = min((first, second), key=lambda group: (sizes.get(group, 0), group))
    kept = [name for name in names if name != smaller]
    if len(kept) < 2:
        raise RunError(first, "only one group would be left", "keep two groups or more")
    return _refitted(work, kept, f"merged {first} and {second}", without=smaller)


def _refitted(work: Work, names: Sequence[str], why: str, without: str = "") -> str:
    """An attempt with these names, brought to K where a number was asked for.

    A place that is free goes to a raw label, but not to the one that has just lost its place.
    """
    k = work.run.n_clusters
    if isinstance(k, int) and len(names) != k:
        _, counts = ictc.counted_labels(work)
        with work.paying("name"):
            usual = {text: n for text, n in wording.common(counts).items() if text != without}
            names = naming.fit(work, names, usual, k)
    if not names:
        raise RunError("the raw labels", f"do not give {k} names so", "try something else")
    return attempt(work, names, "changed by the agent", why)


def _must_be_there(group: str, names: Sequence[str]) -> None:
    if group not in names:
        raise unknown("group", group, names)


def choose_k(work: Work) -> str:
    """Begin with many names and merge those that the model would give away: K by what is left.

    Every frequent raw label is a candidate. From the rarest to the most frequent, the model says
    where a candidate's images would go if it were no group: to another candidate, or to none of
    them. One that would go elsewhere is merged there.
    """
    _, counts = ictc.counted_labels(work)
    with work.paying("name"):
        names = over_clustered(work, counts)
    why = f"as many groups as the labels tell apart: {len(names)}"
    return attempt(work, names, "merged from many", why, n_clusters=len(names))


def over_clustered(work: Work, counts: Mapping[str, int]) -> list[str]:
    """Names that are left of the frequent labels when those that are given away are merged."""
    names = wording.frequent(counts, RARE)[:CANDIDATES]
    for label in reversed(list(names)):
        others = [name for name in names if name != label]
        if len(others) < 2:
            break
        choice = naming.choose_labels(work, [label], others).get(0)
        if choice is None:
            continue
        *fits, none = choice.probabilities
        nearest = others[int(np.argmax(fits))]
        # a rare vague label must not swallow frequent ones: it is near to all of its kind
        is_kind_of = counts[nearest] > counts[label]
        if is_kind_of and max(fits) > max(GIVEN_AWAY, 2 * none):
            names = others
    return names


def notice_k(work: Work) -> None:
    """Note where the raw labels tell far more or fewer groups apart than were asked for.

    The number a person asked for is kept: only they know what they want.
    """
    wanted = work.run.config.n_clusters
    if wanted == "auto" or work.run.n_clusters != wanted or work.run.about()["by"] != "ictc":
        return
    if sparing.possible(work):
        found, what = sparing.seem(work), "the captions fall into"
    else:
        _, counts = ictc.counted_labels(work)
        with work.paying("judge"):
            names = over_clustered(work, counts)
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        found, what = len(names), f"the raw labels tell apart ({shown})"
    if found >= 2 and not FAR_OFF <= found / wanted <= 1 / FAR_OFF:
        work.run.note(f"{wanted} groups were asked for; {what} about {found}")


def ask_again(work: Work) -> str:
    """Ask for the samples in doubt once more: by caption, then by image where a model sees."""
    base = work.run.base()
    before = work.run.rows(f"{base}/assignments.jsonl").known
    work.run.begin("asked again for the samples in doubt", (*KEPT, "groups", "assignments"))
    found = work.run.read_of(base, "clusters.json")
    work.run.write("clusters.json", found)
    ictc.ask_again(work, before, found["names"])
    judging.score(work)
    return settle(work)


def _base_of(work: Work) -> tuple[list[str], Mapping[str, Mapping[str, Any]]]:
    """Names and assignments of the attempt that a tool begins from."""
    base = work.run.base()
    rows = work.run.rows(f"{base}/assignments.jsonl").known
    return list(work.run.read_of(base, "clusters.json")["names"]), rows
