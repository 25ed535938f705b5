"""``mode=paper``: IC|TC as published (Kwon et al., ICLR 2024, algorithm 1, and its code).

One free-form call an image for the raw label and one for the assignment, raw labels pruned by an
absolute count, the names as one free answer. An answer outside the list of names is counted and
leaves the image unassigned, where the published scoring puts a random class. The captions are
those of `agentclust.ictc`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentclust import ictc, wording
from agentclust.errors import RunError
from agentclust.ictc.collecting import label_captions
from agentclust.types import Reply
from agentclust.work import Work

ANSWER = re.compile(r"answer\s*:\s*(.+)", re.IGNORECASE)
NUMBERED = re.compile(r"^\s*\d+\s*[:.)]\s*(.+)$", re.MULTILINE)
ANSWER_TOKENS = 24


def label(work: Work) -> None:
    """Step 2a: one free-form answer an image."""
    template = work.run.template("paper-label")
    criterion = work.run.criterion
    label_captions(
        work,
        work.samples,
        lambda text: template.render(criterion=criterion, caption=text),
        ANSWER_TOKENS,
        lambda text: {"raw_label": text, "label": _answer(text)},
    )


def name(work: Work) -> None:
    """Step 2b: one answer for the labels above the absolute count.

    Raises:
        RunError: No label is that frequent, or the answer holds no names.
    """
    if work.run.read("clusters.json") is not None:
        return
    config = work.run.config
    rows = work.run.step_rows("labels").known
    counts = wording.count(row["label"] for row in rows.values())
    kept = {text: n for text, n in counts.items() if n > config.paper_min_count}
    if not kept:
        raise RunError(
            f"paper_min_count={config.paper_min_count}",
            f"no raw label is that frequent among {len(rows)} images",
            "start again with a smaller --set paper_min_count=…, or without mode=paper",
        )
    request = work.run.template("paper-names").render(
        criterion=work.run.criterion, k=work.run.n_clusters, labels=kept
    )
    with work.paying("name"):
        _, reply = next(work.llm.complete([request], 512))
    names = _names(reply.text) if isinstance(reply, Reply) else []
    if len(names) < 2:
        raise RunError(config.llm.model, "gave no list of names", "try another model")
    if len(names) != work.run.n_clusters:
        work.run.note(f"mode=paper: the model gave {len(names)} names, not {work.run.n_clusters}")
    found = {"names": names, "source": "one free answer", "labels": counts, "candidates": []}
    work.run.write("clusters.json", found)


def assign(work: Work) -> None:
    """Step 3: one free-form answer an image, from its caption and the list of names."""
    names: list[str] = work.run.read("clusters.json")["names"]
    captions = work.run.step_rows("captions").known
    labels = work.run.step_rows("labels").known
    rows = work.run.step_rows("assignments")
    todo = [s for s in work.samples if s.id not in rows.known]
    template = work.run.template("paper-assign")
    asked = [s for s in todo if s.id in captions or s.id in labels]
    requests = [
        template.render(
            criterion=work.run.criterion,
            names=names,
            caption=captions[s.id]["caption"] if s.id in captions else labels[s.id]["raw_label"],
        )
        for s in asked
    ]
    total, done = len(work.samples), len(rows.known)
    with work.paying("assign"), work.reporter.step("assign", total, done) as advance:
        for index, reply in work.llm.complete(requests, ANSWER_TOKENS, stop=["\n"]):
            text = _answer(reply.text) if isinstance(reply, Reply) else ""
            reason = f"answered {text!r}" if isinstance(reply, Reply) else reply.reason
            rows.append(_row(asked[index].id, text, names, reason))
            advance()
        for sample in todo:
            if sample.id not in rows.known:
                reason = work.missing.get(sample.id, "no caption and no label")
                rows.append(ictc.assignment(sample.id, -1, names, 0.0, "", reason))
                advance()
    outside = sum(row["reason"].startswith("answered") for row in rows.known.values())
    if outside:
        work.run.note(f"mode=paper: {outside} of {total} answers lie outside the list of names")


def _row(sample_id: str, text: str, names: Sequence[str], reason: str) -> dict[str, object]:
    if text in names:
        return ictc.assignment(sample_id, names.index(text), names, 1.0, "caption")
    return ictc.assignment(sample_id, -1, names, 0.0, "", reason)


def _answer(text: str) -> str:
    found = ANSWER.search(text)
    return wording.normalise(found[1] if found else text)


def _names(text: str) -> list[str]:
    lines = NUMBERED.findall(text) or text.splitlines()
    return list(dict.fromkeys(name for name in map(wording.normalise, lines) if name))
