"""The four steps of IC|TC: caption, label, name, assign (Kwon et al., ICLR 2024, algorithm 1).

Each step takes the samples of an open run, appends its results to the run as they come, and skips
what is there already. Where the paper asks once an image, this asks once a meaning: equal raw
labels are assigned once, and only labels in doubt go back to the captions. `agentclust.ictc.paper`
holds the published procedure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agentclust import wording
from agentclust.ictc import naming, sparing
from agentclust.ictc.describing import caption, label
from agentclust.ictc.likely import likeliest
from agentclust.models.asking import Asker
from agentclust.types import Choice, Refusal, Sample
from agentclust.work import Work

__all__ = ["ask_again", "assign", "caption", "label", "name"]

SURE = 0.5  # a label is assigned as a whole where one name has more than half of the mass
Settled = tuple[int, float, list[tuple[int, float]]]  # cluster, confidence, likeliest clusters
DOUBTFUL = 0.7  # confidence below which an assignment is worth another question


def counted_labels(work: Work, *, asked: bool = False) -> tuple[dict[str, str], dict[str, int]]:
    """The label each sample counts as, by id, and how often each occurs; unknown ones left out.

    Args:
        work: The run.
        asked: Leave out what samples got from the labels of others.
    """
    labels = dict.fromkeys((s.id for s in work.samples), "")  # in the order of the samples
    for i, text, guessed in sparing.labelled(work):
        if i in labels and not (asked and guessed):
            labels[i] = text
    for i in [i for i, text in labels.items() if not text or wording.is_unknown(text)]:
        del labels[i]
    merged = wording.merge(wording.count(labels.values()))
    for i, text in labels.items():
        labels[i] = merged[text]
    return labels, wording.count(labels.values())


def name(work: Work) -> None:
    """Step 2b: the cluster names.

    Where the samples can be compared by likeness (see `agentclust.ictc.sparing`), groups are found
    first and then named; else the names are the best of several candidate sets (see
    `agentclust.ictc.naming`).
    """
    if work.run.read("clusters.json") is not None:
        return
    counts = counted_labels(work)[1]
    about = work.run.about()
    given: list[str] = about.get("given", [])
    if not given and work.run.config.grouping == "likeness" and name_by_likeness(work):
        return
    with work.paying("name"):
        if given:
            candidates = naming.around(work, counts, given, rest=bool(about["rest"]))
        else:
            candidates = naming.propose(work, counts)
    keep_names(work, candidates)


def name_by_likeness(work: Work) -> bool:
    """Find groups by likeness and name them then; False where likeness tells no groups."""
    with work.paying("name"):
        names = sparing.groups(work)
    if names:
        source = "groups by likeness, named by their labels"
        keep_names(work, [naming.Candidate(tuple(names), source, 0.0)])
    return bool(names)


def keep_names(work: Work, candidates: Sequence[naming.Candidate]) -> None:
    """Write clusters.json: the first of the candidates gives the names, the others stay to see."""
    best, counts = candidates[0], counted_labels(work)[1]
    found = [{"names": c.names, "source": c.source, "score": round(c.score, 4)} for c in candidates]
    work.run.write(
        "clusters.json",
        {"names": best.names, "source": best.source, "labels": counts, "candidates": found},
    )


def assign(work: Work) -> None:
    """Step 3: a cluster for each sample with a confidence, or the reason why it has none.

    Each distinct raw label is assigned once, by the model's choice among the names and "none of
    these"; a label that is itself a name needs no question. Samples whose label is unknown or in
    doubt (no name above `SURE`) are asked again one by one, with their caption.
    """
    names: list[str] = work.run.read("clusters.json")["names"]
    labels, counts = counted_labels(work)
    rows = work.run.step_rows("assignments")
    for i, group in work.run.step_rows("groups").known.items():
        if i not in rows.known:
            cluster, confidence = group["cluster"], group["confidence"]
            likely = group.get("likely", ())
            rows.append(assignment(i, cluster, names, confidence, "likeness", likely=likely))
    done = {i for i, row in rows.known.items() if row["cluster"] >= 0}
    todo = [s for s in work.samples if s.id not in done] if done else work.samples
    with (
        work.paying("assign"),
        work.reporter.step("assign", len(work.samples), len(done)) as advance,
    ):
        settled = _settled_labels(work, counts, names) if todo else {}
        by_others = {i for i, _, guessed in sparing.labelled(work) if guessed}
        doubtful = []
        for sample in todo:
            unsettled: Settled = (-1, 0.0, [])
            cluster, confidence, likely = settled.get(labels.get(sample.id, ""), unsettled)
            # one that got its label by likeness is not worth a question of its own
            if confidence > SURE or (cluster >= 0 and sample.id in by_others):
                row = assignment(sample.id, cluster, names, confidence, "label", likely=likely)
                rows.append(row)
                advance()
            else:
                doubtful.append(sample)
        for row in _from_captions(work, doubtful, labels, names):
            rows.append(row)
            advance()


def _settled_labels(
    work: Work, counts: Mapping[str, int], names: Sequence[str]
) -> dict[str, Settled]:
    """Cluster and confidence of every label that belongs to one more than to none."""
    settled: dict[str, Settled] = {t: (names.index(t), 1.0, []) for t in counts if t in names}
    asked = [text for text in counts if text not in settled]
    for index, choice in naming.choose_labels(work, asked, names).items():
        best = choice.best
        if best is not None and best < len(names):
            confidence = choice.probabilities[best]
            likely = likeliest(best, confidence, enumerate(choice.probabilities[: len(names)]))
            settled[asked[index]] = (best, confidence, likely)
    return settled


def _from_captions(
    work: Work, samples: Sequence[Sample], labels: Mapping[str, str], names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    captions = work.run.step_rows("captions").known
    template = work.run.template("assign")
    asked = []
    for sample in samples:
        if sample.id in captions or sample.id in labels:
            asked.append(sample)
        else:
            reason = work.missing.get(sample.id, "no caption and no label")
            yield assignment(sample.id, -1, names, 0.0, "", reason)
    requests = [
        template.render(
            criterion=work.run.criterion,
            names=names,
            label="" if s.id in captions else labels[s.id],
            caption=captions[s.id]["caption"] if s.id in captions else "",
        )
        for s in asked
    ]
    for index, choice in work.llm.choose(requests, [*names, naming.NONE]):
        yield _chosen(asked[index].id, choice, names)


def ask_again(work: Work, before: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> None:
    """Ask once more for the samples in doubt: with the caption, then a model that sees.

    Args:
        work: The run; its current attempt has the rows of `before`, and gets what changes.
        before: The assignments so far, by sample id.
        names: The cluster names.
    """
    rows = work.run.step_rows("assignments")
    labels, _ = counted_labels(work)
    doubtful = [s for s in work.samples if _in_doubt(before[s.id])]
    by_label = [s for s in doubtful if before[s.id]["by"] == "label"]
    likely = [s for s in doubtful if before[s.id]["by"] == "likeness"]
    likely.sort(key=lambda s: before[s.id]["confidence"])
    most = sparing.usual(len(work.samples), len(names))
    with work.paying("assign"), work.reporter.step("ask again", len(doubtful)) as advance:
        for row in _from_captions(work, [*by_label, *likely[:most]], labels, names):
            known = before[row["id"]]
            # a small model that is unsure itself knows no better than likeness does
            least = max(SURE, known["confidence"]) if known["by"] == "likeness" else 0.0
            if row["confidence"] > max(least, known["confidence"]):
                rows.append(row)
            advance()
        if not isinstance(work.captioner, Asker):
            return
        template = work.run.template("see")
        seen = [s for s in doubtful if s.file is not None and _in_doubt(rows.known[s.id])]
        requests = [template.render(s, criterion=work.run.criterion, names=names) for s in seen]
        for index, choice in work.captioner.choose(requests, [*names, naming.NONE]):
            row = _chosen(seen[index].id, choice, names) | {"by": "image"}
            if row["confidence"] > rows.known[row["id"]]["confidence"]:
                rows.append(row)
            advance()


def _in_doubt(row: Mapping[str, Any]) -> bool:
    return bool(row["cluster"] < 0 or row["confidence"] < DOUBTFUL)


def _chosen(sample_id: str, choice: Choice | Refusal, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(choice, Refusal):
        return assignment(sample_id, -1, names, 0.0, "", choice.reason)
    if not choice.probabilities:
        reason = "the model answered, twice, with none of the options"
        return assignment(sample_id, -1, names, 0.0, "", reason)
    *fits, none = choice.probabilities
    if none > naming.UNFIT * max(fits):
        return assignment(sample_id, -1, names, 0.0, "", "none of the names fits")
    best = max(range(len(fits)), key=fits.__getitem__)
    return assignment(sample_id, best, names, fits[best], "caption", likely=enumerate(fits))


def assignment(
    sample_id: str,
    cluster: int,
    names: Sequence[str],
    confidence: float,
    by: str,
    reason: str = "",
    likely: Iterable[tuple[int, float]] = (),
) -> dict[str, Any]:
    """A row of assignments.jsonl; cluster -1 is unassigned, with the reason.

    Where the probabilities of other clusters are known, the row tells the `likeliest`.
    """
    told = likeliest(cluster, confidence, likely) if cluster >= 0 else []
    return {
        "id": sample_id,
        "cluster": cluster,
        "name": names[cluster] if cluster >= 0 else "",
        "confidence": round(confidence, 4),
        "by": by,
        "reason": reason,
        **({"likely": told} if told else {}),
    }
