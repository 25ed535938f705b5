"""Cluster names out of counted raw labels: several candidate sets, kept by what they tell.

A set of names is good when knowing an image's cluster tells most about its raw label: clusters of
even size that the labels fall into without doubt. That is the mutual information between label and
cluster, as in regularised information maximisation (Krause, Perona and Gomes, NIPS 2010, eq. 2),
with the model's own choices as the conditional distribution. It is in nats and at most log K. It
sees no true label.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agentclust import wording
from agentclust.errors import RunError
from agentclust.types import Choice, Reply
from agentclust.work import Work

NONE = "none of these"
# "none of these" must be so many times as likely as the best name: small models say it too readily,
# even of a caption that holds the very name
UNFIT = 5.0
CHECKED = 80  # most frequent labels that a candidate set is judged by
HINTS = ("", " of broad kinds", " of common kinds")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One set of names, where it comes from, and its score in nats."""

    names: tuple[str, ...]
    source: str
    score: float


def propose(
    work: Work,
    counts: Mapping[str, int],
    advice: str = "",
    k: int | Literal["auto"] | None = None,
) -> list[Candidate]:
    """Candidate sets of names for the counted labels, best first.

    The most frequent labels are one set; the others are what the model proposes, brought to
    exactly K names. Where K is "auto" the sets differ in size and compete by the share of log K
    that they reach.

    Args:
        work: The run.
        counts: How often each raw label occurs, most frequent first.
        advice: What the sets before were wrong in, for the model.
        k: How many names; by default what the attempt asks for.

    Raises:
        RunError: The labels do not give as many names as were asked for.
    """
    k = k or work.run.n_clusters
    usual = wording.common(counts)
    sets = dict[tuple[str, ...], str]()
    if isinstance(k, int):
        if len(counts) >= k:
            sets[tuple(counts)[:k]] = "most frequent labels"
        if len(counts) != k:
            for source, found in _ask(work, usual, k, advice):
                sets.setdefault(tuple(fit(work, found, usual, k)), source)
    else:
        sets[tuple(wording.frequent(counts))] = "frequent labels"
        sets |= {tuple(found): source for source, found in _ask(work, usual, 0, advice)}
    candidates = []
    for names, source in sets.items():
        if len(names) >= 2:
            score = information(affinity(work, usual, names), usual)
            share = score if isinstance(k, int) else score / np.log(len(names))
            candidates.append(Candidate(names, source, float(share)))
    if not candidates:
        wanted = k if isinstance(k, int) else "at least 2"
        known = ", ".join(list(counts)[:8]) or "none"
        raise RunError(
            f"{len(counts)} different raw labels",
            f"do not give {wanted} distinct names (the labels are: {known})",
            "ask for fewer clusters, or word the criterion otherwise",
        )
    return sorted(candidates, key=lambda candidate: -candidate.score)


def around(
    work: Work, counts: Mapping[str, int], given: Sequence[str], *, rest: bool
) -> list[Candidate]:
    """The names that a person gave, as they are, and with `rest` those of what fits none of them.

    Args:
        work: The run.
        counts: How often each raw label occurs, most frequent first.
        given: The names.
        rest: Whether names may be added, up to K where that is a number.
    """
    k = work.run.n_clusters
    room = k - len(given) if isinstance(k, int) else len(counts)
    if not rest or room <= 0:
        return [Candidate(tuple(given), "given", 0.0)]
    usual = wording.common(counts)
    table = affinity(work, usual, given)
    fits = UNFIT * table[:, :-1].max(axis=1) >= table[:, -1]
    left = {label: usual[label] for label, fit in zip(usual, fits, strict=True) if not fit}
    taken = {name.casefold() for name in given}
    found = [name for name in _names_of(work, left, room) if name.casefold() not in taken]
    return [Candidate((*given, *found[:room]), "given, and what fits none of them", 0.0)]


def _names_of(work: Work, counts: Mapping[str, int], most: int) -> Sequence[str]:
    """Names for the labels that are left, at most so many."""
    if min(most, len(counts)) > 2:
        k: int | Literal["auto"] = most if isinstance(work.run.n_clusters, int) else "auto"
        with suppress(RunError):
            return propose(work, counts, k=k)[0].names
    return list(counts)


def _ask(work: Work, counts: Mapping[str, int], k: int, advice: str) -> list[tuple[str, list[str]]]:
    """What the model proposes, once a hint, the labels in another order each time."""
    template = work.run.template("names")
    shuffler = random.Random(work.run.config.seed)
    requests, sources = [], []
    for turn, kinds in enumerate(HINTS):
        hint = f"{kinds}; {advice}" if advice else kinds
        labels = list(counts.items())
        if turn:
            shuffler.shuffle(labels)
        requests.append(
            template.render(criterion=work.run.criterion, k=k, labels=labels, hint=hint)
        )
        sources.append(f"proposal {turn + 1}{kinds}")
    replies = dict(work.llm.complete(requests, max_tokens=12 * (k or 30)))
    return [
        (sources[turn], parse(reply.text))
        for turn, reply in sorted(replies.items())
        if isinstance(reply, Reply)
    ]


def parse(text: str) -> list[str]:
    """The distinct names in a model's answer: one a line, or separated by commas in one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        lines = lines[0].split(",")
    names = [wording.normalise(line.partition(" (")[0]) for line in lines]
    kept = [n for n in names if n and not wording.is_unknown(n) and n != NONE and len(n) <= 40]
    return list(dict.fromkeys(kept))


def fit(work: Work, names: Sequence[str], counts: Mapping[str, int], k: int) -> list[str]:
    """Exactly `k` names: those that hold most images, then the labels that none of them holds.

    Empty where the labels do not suffice.
    """
    if not names:
        return []
    weights = np.array(list(counts.values()), dtype=float)
    table = affinity(work, counts, names)
    if len(names) > k:
        held = weights @ table[:, :-1]
        return [names[i] for i in sorted(np.argsort(-held, kind="stable")[:k])]
    left = weights * (1 - table[:, :-1].max(axis=1))
    order = [list(counts)[i] for i in np.argsort(-left, kind="stable")]
    fill = [label for label in order if label not in names][: k - len(names)]
    return [*names, *fill] if len(names) + len(fill) == k else []


def affinity(work: Work, counts: Mapping[str, int], names: Sequence[str]) -> NDArray[np.float64]:
    """For each label the model's distribution over the names and "none of these".

    Returns:
        Shape (labels, names + 1), rows summing to 1. A label that is itself a name is not asked.
        Beyond the `CHECKED` most frequent labels nothing is asked and the row is all "none".
    """
    table = np.zeros((len(counts), len(names) + 1))
    table[:, -1] = 1.0
    asked = []
    for row, label in enumerate(counts):
        if label in names:
            table[row] = 0.0
            table[row, names.index(label)] = 1.0
        elif row < CHECKED:
            asked.append((row, label))
    for row, choice in choose_labels(work, [label for _, label in asked], names).items():
        table[asked[row][0]] = choice.probabilities
    return table


def choose_labels(
    work: Work, labels: Sequence[str], names: Sequence[str], criterion: str = ""
) -> dict[int, Choice]:
    """The model's choice among the names and none for each raw label, by the label's index.

    Args:
        work: The run.
        labels: What is asked about.
        names: The groups to choose from.
        criterion: What they differ in, by default the attempt's criterion.
    """
    template = work.run.template("assign")
    criterion = criterion or work.run.criterion
    requests = [
        template.render(criterion=criterion, names=names, label=label, caption="")
        for label in labels
    ]
    answers = work.llm.choose(requests, [*names, NONE])
    return {i: a for i, a in answers if isinstance(a, Choice) and a.probabilities}


def information(table: NDArray[np.float64], counts: Mapping[str, int]) -> float:
    """Mutual information of label and cluster in nats, the mass of "none" carrying nothing."""
    weights = np.array(list(counts.values()), dtype=float)
    joint = table[:, :-1] * (weights / weights.sum())[:, None]
    held = joint.sum()
    if held == 0:
        return 0.0
    clusters = joint.sum(axis=0) / held
    with np.errstate(divide="ignore", invalid="ignore"):
        given = np.where(joint > 0, table[:, :-1] / table[:, :-1].sum(axis=1, keepdims=True), 1.0)
        gain = np.where(joint > 0, joint * np.log(given / clusters), 0.0)
    return float(gain.sum())
