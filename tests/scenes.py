"""Captions drawn from three things that say nothing of each other: who, where, and doing what."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from agentclust.models.fake import NUMBERED, FakeModel

PLACES = {
    "beach": ("on a sandy beach", "by the sea shore"),
    "kitchen": ("in a kitchen", "beside a stove and a sink"),
    "forest": ("in a forest", "among tall trees"),
    "street": ("on a busy street", "at a city crossing"),
}
DEEDS = {
    "reading": ("reads a book", "is reading a newspaper", "holds an open novel"),
    "eating": ("eats a sandwich", "is having a meal", "bites into an apple"),
    "phoning": ("talks on a phone", "is making a call"),
    "running": ("is running", "jogs along", "sprints"),
    "drinking": ("drinks from a cup", "sips coffee"),
}
WHO = ("A man", "A woman", "A young girl", "An old man", "A boy in a red shirt")
FORMS = (
    "{who} {deed} {place}.",
    "The image shows {who}, who {deed} {place}.",
    "{place} {who} {deed}.",
)


def scenes(n: int, seed: int = 0, skew: float = 0.0) -> tuple[list[str], list[str]]:
    """Captions and the place of each; with `skew` the places differ in how frequent they are."""
    random = np.random.default_rng(seed)
    often = np.arange(len(PLACES), 0, -1.0) ** skew
    captions, truth = [], []
    for _ in range(n):
        place = random.choice(list(PLACES), p=often / often.sum())
        words = {
            "who": random.choice(WHO),
            "place": random.choice(PLACES[place]),
            "deed": random.choice(DEEDS[random.choice(list(DEEDS))]),
        }
        captions.append(str(random.choice(FORMS)).format(**words))
        truth.append(str(place))
    return captions, truth


def place_of(caption: str) -> str:
    """The place that a caption speaks of."""
    return next(place for place, ways in PLACES.items() if any(way in caption for way in ways))


class Placing(FakeModel):
    """Answers with the place of each caption, and notes how many captions each prompt held."""

    held: list[int] = Field(default_factory=list)
    leaves_out: int = 0  # the number of the caption that each answer leaves out

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        captions = NUMBERED.findall(str(messages[-1].text))
        if captions:
            self.held.append(len(captions))
            self.script = (
                "\n".join(
                    f"{number}. {place_of(text)}"
                    for number, _, text in captions
                    if int(number) != self.leaves_out
                ),
            )
        elif "<caption>" in str(messages[-1].text):
            self.held.append(1)
            self.script = (place_of(str(messages[-1].text)),)
        return super()._generate(messages, stop, run_manager, **kwargs)

    def choose(self, prompts, options):
        found = []
        for prompt in prompts:
            text = str(prompt[-1].text)
            self.script = (place_of(text),) if "<caption>" in text else ()
            found += super().choose([prompt], options)
        return found
