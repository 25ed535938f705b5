"""Judging an attempt without true labels: what the scores say, in sentences that call for action.

Knows nothing of the agent: an attempt in, scores and findings out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agentclust import ictc, metrics, wording
from agentclust.errors import AgentclustError, DiskError
from agentclust.ictc import embedding, naming, sparing
from agentclust.metrics import scores
from agentclust.types import Request
from agentclust.work import Work

UNKNOWN = 0.5  # share of the samples that have no label
SAID = 0.3  # share of the samples whose label stands in the caption; only mute captions have less …
SAME = 0.7  # … where this share of all has one and the same label
LOOKED_AT = 8  # most frequent raw labels that are checked against the criterion, at most …
A_CHECK = 16  # … one for so many labels that were asked for, as the check is to cost little …
LOOKED_AT_LEAST = 3  # … and at least so many
POSSIBLE = 0.4  # of the labels, by weight: below this they are no values of the criterion
GUESSED = 0.5  # share as `SAID`, below which some captions are asked whether they tell anything
ASKED = 12  # so many captions
# probability that they do: 0.18 for vehicles in pictures of musicians, 0.48 and more for what
# captions only suggest, 0.79 for what they say (Qwen2.5-Coder-1.5B)
TOLD = 0.4
ENOUGH = 30  # samples: fewer say nothing in the mean


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


def visible(work: Work) -> Finding | None:
    """Whether the captioner can see what is asked for; the finding where it says it cannot."""
    said = getattr(work.captioner, "cannot_see", ())
    words = set(re.findall(r"\w+", work.run.criterion.lower()))
    unseen = [word for word in said if word in words]
    if not unseen:
        return None
    return Finding(
        "unanswerable", f"the captioner {work.run.config.vlm.model} cannot see {unseen[0]}"
    )


def answerable(work: Work) -> Finding | None:
    """Whether the captions say anything about the criterion; the finding where they do not.

    Most samples have no label; or nearly all have the same label, which their captions do not say;
    or the labels are no values of the criterion (one short question a label, for the most frequent
    ones); or the labels were guessed, and the captions, asked one by one, tell nothing of it.
    """
    labels, counts = ictc.counted_labels(work, asked=True)
    criterion = work.run.criterion
    unknown = 1 - len(labels) / max(len(sparing.asked(work)), 1)
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
    template = work.run.template("fits")
    looked_at = min(LOOKED_AT, max(LOOKED_AT_LEAST, len(labels) // A_CHECK))
    usual = dict(list(counts.items())[:looked_at])
    requests = [template.render(criterion=criterion, label=label) for label in usual]
    possible = _yes(work, requests, list(usual.values()))
    if possible < POSSIBLE:
        shown = ", ".join(list(counts)[:4])
        text = f"the labels ({shown}, …) are no values of {criterion!r}: {possible:.0%} fit it"
        return Finding("unanswerable", text)
    if said < GUESSED:
        template = work.run.template("tells")
        captions = [row["caption"] for row in work.run.step_rows("captions").known.values()]
        some = captions[:: max(1, len(captions) // ASKED)][:ASKED]
        requests = [template.render(criterion=criterion, caption=caption) for caption in some]
        told = _yes(work, requests, [1] * len(requests))
        if told < TOLD:
            return Finding("unanswerable", f"the captions do not tell {criterion!r}")
    return None


def n_labels(work: Work) -> int:
    """How many different raw labels the current attempt has."""
    return len(ictc.counted_labels(work)[1])


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


def _yes(work: Work, requests: Sequence[Request], weights: Sequence[int]) -> float:
    """The probability of "yes", the weighted mean over the requests; 1 without an answer."""
    total = found = 0.0
    with work.paying("judge"):
        for index, answer in work.llm.choose(requests, ["yes", "no"]):
            probabilities = getattr(answer, "probabilities", ())
            if probabilities:
                total += weights[index]
                found += weights[index] * probabilities[0]
    return found / total if total else 1.0


def score(work: Work) -> dict[str, float]:
    """Judge the current attempt by scores that need no true label, and write scores.json.

    See `agentclust.metrics.scores` for what each says. Those that need embeddings are there for
    `ENOUGH` samples and an embedder that knows what words mean.
    """
    names: list[str] = work.run.read("clusters.json")["names"]
    labels, counts = ictc.counted_labels(work)
    raw_labels = [labels.get(s.id, "") for s in work.samples]
    del labels  # of very many samples, a tenth of what is in memory
    clusters, confidences = _assigned(work)
    found = metrics.internal(clusters, confidences, len(names))
    found["information"] = scores.information(raw_labels, clusters, confidences, len(names))
    if work.run.about()["by"] == "ictc" and counts:
        table, weights = _judged_labels(work, counts, names)
        found["confusion"] = scores.confused(table, weights)[0]
        found["coverage"] = float(weights @ (1 - table[:, -1]) / weights.sum())
    if len(work.samples) >= ENOUGH:
        try:
            found |= _by_embeddings(work, names)
        except DiskError:
            raise
        except AgentclustError as error:
            work.reporter.say(f"judged without embeddings: {error}")
    found["quality"] = scores.quality(found)
    work.run.write("scores.json", found)
    return found


def _assigned(work: Work) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rows = work.run.step_rows("assignments").known
    clusters = np.empty(len(work.samples), dtype=np.int64)
    confidences = np.empty(len(work.samples))
    for place, sample in enumerate(work.samples):
        row = rows[sample.id]
        clusters[place], confidences[place] = row["cluster"], row["confidence"]
    return clusters, confidences


def _judged_labels(
    work: Work, counts: Mapping[str, int], names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distribution over names and none for each usual raw label, and its weight.

    It is the model's; for groups found by likeness it is where the samples of a label lie.
    """
    usual = wording.common(counts)
    grouped = work.run.step_rows("groups").known
    if grouped:
        labels, _ = ictc.counted_labels(work)
        places = {text: row for row, text in enumerate(usual)}
        table = np.zeros((len(usual), len(names) + 1))
        for i, row in grouped.items():
            if labels.get(i) in places:
                table[places[labels[i]], row["cluster"]] += 1
        table[~table.any(axis=1), -1] = 1
        table /= table.sum(axis=1, keepdims=True)
    else:
        table = naming.affinity(work, usual, names)
    return table, np.array(list(usual.values()), dtype=float)


def _by_embeddings(work: Work, names: Sequence[str]) -> dict[str, float]:
    """The scores that need embeddings of captions, raw labels and names."""
    captions = work.run.step_rows("captions").known
    samples = [s for s in work.samples if s.id in captions]
    if len(samples) < ENOUGH or embedding.text_embedder(work).fitted:
        return {}
    rows = work.run.step_rows("assignments").known
    clusters = np.array([rows[s.id]["cluster"] for s in samples], dtype=np.int64)
    labels, _ = ictc.counted_labels(work)
    texts = [captions[s.id]["caption"] for s in samples]
    texts += [labels.get(s.id, "unknown") for s in samples]
    vectors = embedding.of_texts(work, [*texts, *names])
    n = len(samples)
    seen, told, named = vectors[:n], vectors[n : 2 * n], vectors[2 * n :]
    told[[s.id not in labels for s in samples]] = 0  # what is unknown is near to nothing
    k = work.run.n_clusters
    wanted = k if isinstance(k, int) else len(names)
    joined = np.hstack([seen, told])
    return {
        "agreement": scores.agreement(clusters, joined, wanted, work.run.config.seed),
        "echo": scores.echo(clusters, seen, named),
    }


def findings(work: Work) -> list[Finding]:
    """What is wrong with the current attempt, worst first; empty where nothing calls for action."""
    names: list[str] = work.run.read("clusters.json")["names"]
    known: dict[str, float] = work.run.read("scores.json")
    clusters, _ = _assigned(work)
    _, counts = ictc.counted_labels(work)
    share, group = scores.largest(clusters)
    table, weights = _judged_labels(work, counts, names)
    overlap, first, second = scores.confused(table, weights)
    sizes = np.bincount(clusters[clusters >= 0], minlength=len(names))
    least = scores.TINY * len(clusters) / len(names)
    tiny = [name for name, size in zip(names, sizes, strict=True) if size < least]
    held = (table.argmax(axis=1) == len(names)) & (table[:, -1] > 0)
    left = [text for text, none in zip(wording.common(counts), held, strict=True) if none]
    missing = float(weights[held].sum() / weights.sum())
    # where groups lie close together likeness is unsure, and the labels tell little of them: asking
    # again, merging, or asking for names mends nothing (CIFAR-100-20: 226 more questions, and a
    # lower quality; 100 captions of PPMI: as many questions again, three attempts, each worse)
    by_names = not work.run.step_rows("groups").known
    doubtful = known["unassigned"] + (known["unsure"] if by_names else 0.0)
    checks = (
        (known.get("echo", 1.0) < scores.UNHEARD, "unheard", (),
         "the captions do not speak of these groups"),
        (share > max(scores.SWALLOWS, 2 / len(names)), "swallows", (names[group],),
         f"{names[group]!r} holds {share:.0%} of the samples"),
        (by_names and overlap > scores.CONFUSED, "confused", (names[first], names[second]),
         f"{names[first]!r} and {names[second]!r} are confused: they overlap by {overlap:.0%}"),
        (missing > scores.UNCOVERED, "uncovered", (),
         f"{missing:.0%} of the raw labels fit no group: {', '.join(left[:4])}"),
        (doubtful > scores.IN_DOUBT, "doubtful", (),
         f"{doubtful:.0%} of the samples are in no group or unsure"),
        (bool(tiny), "empty", tuple(tiny), f"nearly no sample is in {', '.join(tiny)}"),
        (by_names and known["information"] < scores.UNINFORMED, "uninformed", (),
         "the groups say little about what the raw labels say"),
    )  # fmt: skip
    return [Finding(kind, text, groups) for wrong, kind, groups, text in checks if wrong]
