"""Criteria worth trying, from a sample of the captions, each with groups that it would really give.

The model proposes criteria for what the captions tell; each is then tried on the sample, and only
one whose labels differ and are values of it is kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentclust import prompts, wording
from agentclust.captioners import Captioner
from agentclust.errors import ImageProblem, RunError
from agentclust.ictc import describing, naming
from agentclust.models.asking import Asker
from agentclust.progress import Reporter
from agentclust.types import Choice, Refusal, Reply, Sample

SAMPLED = 16  # captions that are read
PROPOSED = 8  # criteria that are tried
ALIKE = 0.75  # share of one label above which a criterion tells nothing apart
SHOWN = 6
ABOUT = "what it shows, where, in which style and mood"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A criterion and the groups that a sample of the images would fall into.

    Attributes:
        criterion: In plain words.
        groups: How many of the sampled images have each label, most frequent first.
        spread: Share of the sampled images that do not have the most frequent label, 0..1.
    """

    criterion: str
    groups: Mapping[str, int]
    spread: float

    def __str__(self) -> str:
        shown = [f"{name} ({number})" for name, number in list(self.groups.items())[:SHOWN]]
        more = ", …" if len(self.groups) > SHOWN else ""
        return f"{self.criterion}: {', '.join(shown)}{more}"


def suggest(
    samples: Sequence[Sample],
    llm: Asker,
    captioner: Captioner | Asker | None,
    reporter: Reporter,
    seed: int = 0,
    folder: Path | None = None,
) -> list[Suggestion]:
    """Criteria by which the samples could be sorted, those that spread them most first.

    Args:
        samples: The samples of a dataset.
        llm: Proposes and labels.
        captioner: Writes captions where there are none.
        reporter: Where progress goes.
        seed: Decides which samples are read.
        folder: Templates that replace ours.

    Raises:
        RunError: No criterion tells the sampled images apart.
        ModelError: The model failed for good.
    """
    chosen = random.Random(seed).sample(list(samples), min(SAMPLED, len(samples)))
    captions = [text for text in _captions(chosen, captioner, folder) if text.strip()]
    if len(captions) < 2:
        raise RunError(f"{len(chosen)} samples", "have no captions to read", "name a --vlm")
    request = prompts.load("suggest", folder).render(captions=captions, n=PROPOSED)
    _, reply = next(llm.complete([request], 12 * PROPOSED))
    if isinstance(reply, Refusal):
        raise RunError(llm.config.model, reply.reason, "name another --llm, or a criterion")
    criteria = naming.parse(reply.text)[:PROPOSED]
    found = []
    with reporter.step("try", len(criteria)) as advance:
        for criterion in criteria:
            tried = _tried(criterion, captions, llm, folder)
            found += [tried] if tried else []
            advance()
    if not found:
        tried_ones = ", ".join(criteria) or "none"
        why = f"no criterion tells the images apart (tried: {tried_ones})"
        raise RunError(f"{len(captions)} captions", why, "name a criterion yourself")
    return sorted(found, key=lambda suggestion: -suggestion.spread)


def _captions(
    samples: Sequence[Sample], captioner: Captioner | Asker | None, folder: Path | None
) -> list[str]:
    known = {s.id: s.caption for s in samples if s.caption}
    unseen = [s for s in samples if s.id not in known and s.file is not None]
    if isinstance(captioner, Asker):
        template = prompts.load("caption", folder)
        requests = [template.render(s, criterion=ABOUT) for s in unseen]
        for index, reply in captioner.complete(requests, describing.CAPTION_TOKENS):
            if isinstance(reply, Reply):
                known[unseen[index].id] = reply.text
    elif captioner is not None:
        for sample in unseen:
            if sample.file is not None:
                try:
                    known[sample.id] = captioner.caption(sample.file)
                except ImageProblem:
                    continue
    return [str(known[s.id]) for s in samples if s.id in known]


def _tried(
    criterion: str, captions: Sequence[str], llm: Asker, folder: Path | None
) -> Suggestion | None:
    """The suggestion, None where the criterion tells the captions not apart."""
    label, fits = prompts.load("label", folder), prompts.load("fits", folder)
    requests = [label.render(criterion=criterion, caption=text) for text in captions]
    replies = [r for _, r in llm.complete(requests, describing.LABEL_TOKENS, stop=["\n"])]
    labels = [wording.normalise(r.text) for r in replies if isinstance(r, Reply)]
    known = [text for text in labels if not wording.is_unknown(text)]
    merged = wording.merge(wording.count(known))
    counts = wording.count(merged[text] for text in known)
    if len(counts) < 2 or 2 * len(known) < len(captions):
        return None
    checks = [fits.render(criterion=criterion, label=text) for text in list(counts)[:SHOWN]]
    answers = [a.probabilities[0] for _, a in llm.choose(checks, ["yes", "no"])
               if isinstance(a, Choice) and a.probabilities]  # fmt: skip
    most = next(iter(counts.values())) / len(known)
    if most > ALIKE or (answers and sum(answers) / len(answers) < 0.5):
        return None
    return Suggestion(criterion, counts, 1 - most)
