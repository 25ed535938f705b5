"""Steps 1 and 2a of IC|TC: what each image shows, and the raw label that this says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from agentclust import wording
from agentclust.cache import key
from agentclust.captioners import Captioner
from agentclust.errors import ImageProblem
from agentclust.files.blocks import side_by_side
from agentclust.ictc import sparing
from agentclust.ictc.collecting import collect, label_captions
from agentclust.models.asking import Asker
from agentclust.types import Refusal, Reply, Request, Sample
from agentclust.work import Work

CAPTION_TOKENS = 200
LABEL_TOKENS = 16


def caption(work: Work) -> None:
    """Step 1: a caption for each image, with the criterion in the prompt where a VLM writes it.

    With ``vlm_answers=label`` a VLM writes none: it is asked for the label itself, one step later.
    """
    outright = _named_by_sight(work)
    wanted = [
        s
        for s in work.samples
        if s.caption is not None or (s.raw_label is None and s.id not in outright)
    ]
    rows = work.run.step_rows("captions")
    todo = [s for s in wanted if s.id not in rows.known]
    collect(work, "caption", len(wanted), _captions(work, todo), lambda text: {"caption": text})


def _captions(work: Work, samples: Sequence[Sample]) -> Iterator[tuple[str, str | Refusal]]:
    for sample in samples:
        if sample.caption is not None:
            yield sample.id, sample.caption
    seen = [s for s in samples if s.caption is None]
    if isinstance(work.captioner, Asker):
        template = work.run.template("caption")
        requests = [template.render(s, criterion=work.run.criterion) for s in seen]
        for index, reply in work.captioner.complete(requests, CAPTION_TOKENS):
            yield seen[index].id, reply.text if isinstance(reply, Reply) else reply
    elif work.captioner is not None:
        describe = partial(_measured, work, work.captioner)
        threads = getattr(work.captioner, "side_by_side", 1)
        told = side_by_side(describe, seen, threads)
        yield from zip((s.id for s in seen), told, strict=True)


def _measured(work: Work, captioner: Captioner, sample: Sample) -> str | Refusal:
    """The caption of a captioner that knows no criterion: all criteria share it."""
    answer_key = key(captioner=captioner.identity, image=sample.sha256)
    stored = work.answers.get(answer_key)
    if stored is not None:
        return str(stored["text"])
    assert sample.file is not None  # a sample without a file has a caption or a raw label
    try:
        text = captioner.caption(sample.file)
    except ImageProblem as problem:
        return Refusal(problem.why)
    work.answers.put(answer_key, {"text": text})
    return text


def label(work: Work) -> None:
    """Step 2a: a raw label for each caption, and the label it counts as.

    Of larger sets the model is asked about exemplars (see `agentclust.ictc.sparing`), several short
    captions in one prompt; what it leaves out it is asked for by itself.
    """
    one, criterion = work.run.template("label"), work.run.criterion

    def ask_several(texts: Sequence[str]) -> Request:
        return work.run.template("labels").render(criterion=criterion, captions=texts)

    for samples, together in sparing.rounds(work):
        label_captions(
            work,
            samples,
            lambda text: one.render(criterion=criterion, caption=text),
            LABEL_TOKENS,
            _label_row,
            ask_several if together else None,
        )
    _label_images(work)
    sparing.spread(work)


def _named_by_sight(work: Work) -> dict[str, Sample]:
    """The samples whose label the VLM reads off the image, by id."""
    if work.run.config.vlm_answers != "label" or not isinstance(work.captioner, Asker):
        return {}
    return {s.id: s for s in work.samples if s.caption is None and s.raw_label is None}


def _label_images(work: Work) -> None:
    """One short call an image, in place of a caption and of a question about it."""
    seen = _named_by_sight(work)
    rows = work.run.step_rows("labels")
    todo = [s for s in seen.values() if s.id not in rows.known]
    if not todo:
        return
    assert isinstance(work.captioner, Asker)
    template, asker = work.run.template("look"), work.captioner
    requests = [template.render(s, criterion=work.run.criterion) for s in todo]

    def answers() -> Iterator[tuple[str, str | Refusal]]:
        for index, reply in asker.complete(requests, LABEL_TOKENS, stop=["\n"]):
            yield todo[index].id, reply.text if isinstance(reply, Reply) else reply

    collect(work, "label", len(seen), answers(), _label_row)


def _label_row(text: str) -> dict[str, str]:
    return {"raw_label": text.strip(), "label": wording.normalise(text)}
