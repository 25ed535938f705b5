"""Appending a model's answers to the rows of a step: captions and raw labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from agentclust.errors import ModelError
from agentclust.types import Refusal, Reply, Request, Sample
from agentclust.work import Work

Answers = Iterable[tuple[str, str | Refusal]]

TOGETHER = 8  # captions in one prompt at most, …
CHARACTERS = 1000  # … and so many characters: a 1.5B model leaves out some of long captions
NUMBERED = re.compile(r"^\s*(\d+)\s*[.:)]\s*(.+)$", re.MULTILINE)


def label_captions(
    work: Work,
    samples: Sequence[Sample],
    ask: Callable[[str], Request],
    max_tokens: int,
    row: Callable[[str], Mapping[str, Any]],
    ask_several: Callable[[Sequence[str]], Request] | None = None,
) -> None:
    """Ask for the raw label of each caption; one that is given is taken.

    Args:
        work: The run.
        samples: Whose labels are wanted.
        ask: The request for one caption.
        max_tokens: Of the answer to it.
        row: What of an answer is kept.
        ask_several: The request for several captions, answered by a numbered line each.
    """
    captions = work.run.step_rows("captions").known
    rows = work.run.step_rows("labels")
    known = [s for s in samples if s.raw_label is not None or s.id in captions]
    todo = [s for s in known if s.id not in rows.known]
    texts = {s.id: str(captions[s.id]["caption"]) for s in known if s.raw_label is None}

    def answers() -> Answers:
        yield from ((s.id, s.raw_label) for s in todo if s.raw_label is not None)
        left = {s.id for s in todo if s.raw_label is None}
        if ask_several:
            for sample_id, text in _several(work, texts, left, ask_several, max_tokens):
                left.remove(sample_id)
                yield sample_id, text
        asked = [i for i in texts if i in left]
        requests = [ask(texts[i]) for i in asked]
        for index, reply in work.llm.complete(requests, max_tokens, stop=["\n"]):
            yield asked[index], reply.text if isinstance(reply, Reply) else reply

    collect(work, "label", len(known), answers(), row)


def _several(
    work: Work,
    texts: Mapping[str, str],
    left: set[str],
    ask: Callable[[Sequence[str]], Request],
    max_tokens: int,
) -> Iterator[tuple[str, str]]:
    """Answers to prompts of several captions; those that an answer leaves out are left."""
    # all captions are packed, also those that are known, so that a resumed run asks what it asked
    packs = [pack for pack in _packed(texts) if len(pack) > 1 and left & set(pack)]
    requests = [ask([texts[i] for i in pack]) for pack in packs]
    for index, reply in work.llm.complete(requests, TOGETHER * max_tokens):
        if isinstance(reply, Reply):
            found = {int(number): text for number, text in NUMBERED.findall(reply.text)}
            for number, sample_id in enumerate(packs[index], 1):
                if sample_id in left and found.get(number, "").strip():
                    yield sample_id, found[number]


def _packed(texts: Mapping[str, str]) -> list[list[str]]:
    """Ids in their order, as many together as fit into one prompt."""
    packs: list[list[str]] = []
    held = 0
    for sample_id, text in texts.items():
        if not packs or len(packs[-1]) == TOGETHER or held + len(text) > CHARACTERS:
            packs.append([])
            held = 0
        packs[-1].append(sample_id)
        held += len(text)
    return packs


def collect(
    work: Work, step: str, total: int, answers: Answers, row: Callable[[str], Mapping[str, Any]]
) -> None:
    """Append answers to the step's rows as they come; a sample without one keeps the reason.

    Raises:
        ModelError: Not one sample has an answer.
    """
    rows = work.run.step_rows(f"{step}s")
    with work.paying(step), work.reporter.step(step, total, len(rows.known)) as advance:
        for sample_id, text in answers:
            if isinstance(text, Refusal):
                work.missing[sample_id] = f"no {step}: {text.reason}"
            elif not text.strip():
                work.missing[sample_id] = f"no {step}: the model's answer was empty"
            else:
                rows.append({"id": sample_id} | dict(row(text.strip())))
            advance()
    if total and not rows.known:
        reason = next(iter(work.missing.values()), f"no {step}")
        raise ModelError(f"{total} samples", reason, f"check the model of the {step} step")
