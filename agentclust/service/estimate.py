"""What a run will about cost: calls, tokens, and money where the prices are known.

It counts four characters a token, as is usual for English. Of larger sets with captions, exemplars
are asked about (see `agentclust.ictc.sparing`), half of their labels differ, and half of the groups
need a name of the model's.
Where every sample is asked about, it assumes what runs on photographs showed: about 2.5 times the
square root of n different raw labels among n samples, and one sample in twenty that is asked about
by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentclust import prompts
from agentclust.config import ModelConfig, RunConfig
from agentclust.ictc import collecting, sparing
from agentclust.models import in_process
from agentclust.types import Request, Sample

CHARACTERS = 4  # a token
CAPTION_TOKENS = 60  # of a caption that is still to be written
IMAGE_TOKENS = 576  # of an image: 24 x 24 patches, as LLaVA-1.5 reads it
LABEL_TOKENS = 4
DIFFERENT = 2.5  # different raw labels, in square roots of the number of samples
DOUBTFUL = 0.05  # share of the samples that are asked about one by one
SETS = 3  # of names that are proposed


@dataclass(frozen=True, slots=True)
class Estimate:
    """About what a run will cost.

    Attributes:
        calls: Model calls.
        read: Tokens of all prompts, cached ones included.
        written: Tokens of all answers.
        dollars: US$; None where a price is not known.
    """

    calls: int
    read: int
    written: int
    dollars: float | None

    def __str__(self) -> str:
        money = "" if self.dollars is None else f", about ${self.dollars:.2f}"
        return (
            f"about {_rounded(self.calls)} model calls, {_rounded(self.read)} tokens read, "
            f"{_rounded(self.written)} written{money}"
        )


def estimate(config: RunConfig, samples: Sequence[Sample], sees: bool) -> Estimate:
    """What the steps of IC|TC will about cost.

    Args:
        config: The settings.
        samples: The samples.
        sees: Whether a model writes the captions that are missing.
    """
    captions = [s.caption for s in samples if s.caption is not None]
    seen = sum(s.caption is None and s.raw_label is None for s in samples) if sees else 0
    outright = seen if config.vlm_answers == "label" else 0
    asked = sum(s.raw_label is None for s in samples) - outright
    few = sparing.first(config, len(captions) + seen - outright)
    different = min(len(samples), int(DIFFERENT * len(samples) ** 0.5))
    length = sum(map(len, captions)) / len(captions) if captions else CAPTION_TOKENS * CHARACTERS
    text = "x" * int(length)
    about: dict[str, Any] = {"criterion": config.criterion}
    paper = config.mode == "paper"
    label = prompts.load("paper-label" if paper else "label", config.prompts).render(
        caption=text, **about
    )
    k = config.n_clusters if isinstance(config.n_clusters, int) else 10
    known: dict[str, Any] = {"names": ["x" * 8] * k, **about}
    template = prompts.load("assign", config.prompts)
    by_label = template.render(label="x" * 8, caption="", **known)
    by_caption = template.render(label="", caption=text, **known)
    names = prompts.load("names", config.prompts).render(
        k=k, hint="", labels=[("x" * 8, 100)] * min(different, 120), **about
    )
    doubtful = int(DOUBTFUL * len(samples))
    by_meaning = [(SETS * different, _tokens(by_label)), (doubtful, _tokens(by_caption))]
    assigned = by_meaning
    if paper:
        template = prompts.load("paper-assign", config.prompts)
        assigned = [(len(samples), _tokens(template.render(caption=text, **known)))]
    steps = [
        (asked, _tokens(label), LABEL_TOKENS),
        (SETS, _tokens(names), LABEL_TOKENS * k),
        *((calls, read, LABEL_TOKENS) for calls, read in assigned),
    ]
    if few:
        together = max(1, min(collecting.TOGETHER, collecting.CHARACTERS // int(length)))
        several = prompts.load("labels", config.prompts).render(captions=[text] * together, **about)
        packs = -(-min(few, asked) // together)
        steps = [(packs, _tokens(several), LABEL_TOKENS * together), (k // 2, 200, LABEL_TOKENS)]
        if config.kinds and in_process(config.llm.model):
            kind = prompts.load("kind", config.prompts).render(label="x" * 8, **about)
            steps.append((min(few // 2, different), _tokens(kind), 0))
    look = prompts.load("look" if outright else "caption", config.prompts).render(**about)
    written = LABEL_TOKENS if outright else CAPTION_TOKENS
    seeing = (seen, _tokens(look) + IMAGE_TOKENS, written)
    costs = [_dollars(config.llm, steps), _dollars(config.vlm, [seeing] if seen else [])]
    return Estimate(
        calls=sum(step[0] for step in (*steps, seeing)),
        read=sum(calls * read for calls, read, _ in (*steps, seeing)),
        written=sum(calls * written for calls, _, written in (*steps, seeing)),
        dollars=None if None in costs else sum(cost or 0 for cost in costs),
    )


def _tokens(request: Request) -> int:
    return (len(request.system) + len(request.user)) // CHARACTERS


def _dollars(config: ModelConfig, steps: Sequence[tuple[int, int, int]]) -> float | None:
    if not steps:
        return 0.0
    if config.prompt_price is None or config.completion_price is None:
        return None
    read = sum(calls * tokens for calls, tokens, _ in steps)
    written = sum(calls * tokens for calls, _, tokens in steps)
    return (read * config.prompt_price + written * config.completion_price) / 1e6


def _rounded(number: int) -> str:
    """Two leading digits: more would claim what is not known."""
    digits = max(0, len(str(number)) - 2)
    return f"{round(number, -digits):,}"
