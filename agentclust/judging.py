"""Judging an attempt without true labels: what the scores say, in sentences that call for action.

Knows nothing of the agent: an attempt in, scores and findings out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agentclust import embedded, ictc, metrics, naming, scores, wording
from agentclust.errors import AgentclustError, RunError
from agentclust.work import Work

LOOKED_AT = 8  # most frequent raw labels that are checked against the criterion
POSSIBLE = 0.5  # of the labels, by weight: below this they are no values of the criterion
SAID = 0.3  # share of samples whose label stands in the caption; only mute captions have less, …
SAME = 0.7  # … where this share of all has one and the same label
UNKNOWN = 0.5  # share of the samples that have no label
SWALLOWS = 0.5  # share of the assigned samples in one group
CONFUSED = 0.5  # overlap of two names
UNCOVERED = 0.2  # share of the labels that fit no group
IN_DOUBT = 0.1  # share of the samples in no group or unsure
TINY = 0.1  # of the size that groups would have if all were equal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with an attempt.

    Attributes:
        kind: What it is, in one word: the remedies are found by it.
        text: A sentence for the model and for people.
        groups: The names it is about.
    """

    kind: str
    text: str
    groups: tuple[str, ...] = ()


def answerable(work: Work) -> Finding | None:
    """Whether the captions say anything about the criterion; the finding where they do not.

    Three signs, each from what the label step gave: most samples have no label; nearly all have
    the same label, which their captions do not say; or the labels are no values of the criterion
    (one short question a label, for the most frequent ones).
    """
    rows = work.run.step_rows("labels").known
    labels, counts = ictc.counted_labels(work)
    criterion = work.run.criterion
    unknown = 1 - len(labels) / max(len(rows), 1)
    if unknown > UNKNOWN:
        text = f"{unknown:.0%} of the captions say nothing about {criterion!r}"
        return Finding("unanswerable", text)
    top, most = next(iter(counts.items()))
    said = grounding(work, labels)
    if most / len(labels) > SAME and said < SAID:
        text = (
            f"the captions say nothing about {criterion!r}: {most / len(labels):.0%} of the "
            f"samples got the label {top!r}, and {1 - said:.0%} of the labels stand in no caption"
        )
        return Finding("unanswerable", text)
    possible = fitting(work, dict(list(counts.items())[:LOOKED_AT]))
    if possible < POSSIBLE:
        shown = ", ".join(list(counts)[:4])
        text = f"the labels ({shown}, …) are no values of {criterion!r}: {possible:.0%} fit it"
        return Finding("unanswerable", text)
    return None


def grounding(work: Work, labels: Mapping[str, str]) -> float:
    """Share of the samples whose raw label's words begin words of their own caption, 0..1.

    1 where there are no captions.
    """
    captions = work.run.step_rows("captions").known
    judged = [(label, captions[i]["caption"]) for i, label in labels.items() if i in captions]
    if not judged:
        return 1.0
    return sum(_says(caption, label) for label, caption in judged) / len(judged)


def _says(caption: str, label: str) -> bool:
    words = set(re.findall(r"\w+", caption.lower()))
    stems = [word[: max(4, len(word) - 3)] for word in re.findall(r"\w+", label)]
    return any(word.startswith(stem) for stem in stems for word in words)


def fitting(work: Work, counts: Mapping[str, int]) -> float:
    """How probable the model finds it that the labels are values of the criterion, 0..1.

    The mean over the labels, weighted by their counts.
    """
    template = work.run.template("fits")
    requests = [template.render(criterion=work.run.criterion, label=label) for label in counts]
    weights = list(counts.values())
    total = found = 0.0
    with work.paying("judge"):
        for index, answer in work.llm.choose(requests, ["yes", "no"]):
            probabilities = getattr(answer, "probabilities", ())
            if probabilities:
                total += weights[index]
                found += weights[index] * probabilities[0]
    return found / total if total else 1.0


def score(work: Work) -> dict[str, float]:
    """Judge the current attempt by what it holds already, and write that into scores.json.

    See `agentclust.scores`, whose measures need no true label. What embeddings add comes with
    `compared`, once there is another attempt.
    """
    names: list[str] = work.run.read("clusters.json")["names"]
    rows = work.run.step_rows("assignments").known
    clusters = np.array([rows[s.id]["cluster"] for s in work.samples], dtype=np.int64)
    confidences = np.array([rows[s.id]["confidence"] for s in work.samples])
    labels, counts = ictc.counted_labels(work)
    found = metrics.internal(clusters, confidences, len(names))
    raw_labels = [labels.get(s.id, "") for s in work.samples]
    found["information"] = scores.information(raw_labels, clusters, confidences, len(names))
    if work.run.about()["by"] == "ictc" and counts:
        usual = wording.common(counts)
        table = naming.affinity(work, usual, names)
        weights = np.array(list(usual.values()), dtype=float)
        found["confusion"] = scores.confused(table, weights)[0]
        found["coverage"] = float(weights @ (1 - table[:, -1]) / weights.sum())
    found["quality"] = scores.quality(found)
    work.run.write("scores.json", found)
    return found


def compared(work: Work, attempts: Sequence[str]) -> dict[str, float]:
    """The quality of each attempt by the same scores: with those that embeddings add, if possible.

    Args:
        work: The run.
        attempts: Folders of attempts that are scored.
    """
    known = {folder: dict(work.run.read_of(folder, "scores.json")) for folder in attempts}
    try:
        for folder, found in known.items():
            if "agreement" not in found:
                found |= _by_embeddings(work, folder)
                found["quality"] = scores.quality(found)
                work.run.write_of(folder, "scores.json", found)
    except AgentclustError as error:
        work.reporter.say(f"attempts are compared without embeddings: {error}")
        basis = [{"information": found["information"]} for found in known.values()]
        return dict(zip(known, map(scores.quality, basis), strict=True))
    return {folder: found["quality"] for folder, found in known.items()}


def _by_embeddings(work: Work, folder: str) -> dict[str, float]:
    """The scores that need embeddings of captions, raw labels and names."""
    run = work.run
    captions = run.rows(f"{folder}/captions.jsonl").known
    labels = run.rows(f"{folder}/labels.jsonl").known
    rows = run.rows(f"{folder}/assignments.jsonl").known
    names: list[str] = run.read_of(folder, "clusters.json")["names"]
    samples = [s for s in work.samples if s.id in captions and s.id in labels]
    if not samples:
        raise RunError(folder, "has no sample with a caption and a raw label", "compare others")
    clusters = np.array([rows[s.id]["cluster"] for s in samples], dtype=np.int64)
    texts = [captions[s.id]["caption"] for s in samples]
    texts += [labels[s.id]["label"] for s in samples]
    vectors = embedded.of_texts(work, [*texts, *names])
    n = len(samples)
    joined = np.hstack([vectors[:n], vectors[n : 2 * n]])
    k = work.run.config.n_clusters
    wanted = k if isinstance(k, int) else len(names)
    return {
        "agreement": scores.agreement(clusters, joined, wanted, run.config.seed),
        "echo": scores.echo(clusters, vectors[:n], vectors[2 * n :]),
    }


def findings(work: Work) -> list[Finding]:
    """What is wrong with the current attempt, worst first; empty where nothing calls for action."""
    names: list[str] = work.run.read("clusters.json")["names"]
    known: dict[str, float] = work.run.read("scores.json")
    _, counts = ictc.counted_labels(work)
    usual = wording.common(counts)
    weights = np.array(list(usual.values()), dtype=float)
    found = []
    rows = work.run.step_rows("assignments").known
    clusters = np.array([rows[s.id]["cluster"] for s in work.samples], dtype=np.int64)
    share, group = scores.largest(clusters)
    if share > max(SWALLOWS, 2 / len(names)):
        text = f"{names[group]!r} holds {share:.0%} of the samples"
        found.append(Finding("swallows", text, (names[group],)))
    table = naming.affinity(work, usual, names)
    overlap, first, second = scores.confused(table, weights)
    if overlap > CONFUSED:
        text = f"{names[first]!r} and {names[second]!r} are confused: {overlap:.0%} overlap"
        found.append(Finding("confused", text, (names[first], names[second])))
    left = {label: n for (label, n), row in zip(usual.items(), table, strict=True) if row[-1] > 0.5}
    if sum(left.values()) > UNCOVERED * weights.sum():
        shown = ", ".join(list(left)[:4])
        text = f"{sum(left.values()) / weights.sum():.0%} of the labels fit no group: {shown}"
        found.append(Finding("uncovered", text))
    doubtful = known["unassigned"] + known["unsure"]
    if doubtful > IN_DOUBT:
        text = f"{doubtful:.0%} of the samples are in no group or unsure"
        found.append(Finding("doubtful", text))
    tiny = [name for name, size in zip(names, _sizes(clusters, len(names)), strict=True)
            if size < TINY * len(clusters) / len(names)]  # fmt: skip
    if tiny:
        found.append(Finding("empty", f"nearly no sample is in {', '.join(tiny)}", tuple(tiny)))
    return found


def _sizes(clusters: NDArray[np.int64], n: int) -> list[int]:
    return [int(size) for size in np.bincount(clusters[clusters >= 0], minlength=n)]
