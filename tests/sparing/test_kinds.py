"""Labels compared by the kind that the model has in mind."""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
import pytest

from agentclust.errors import RequestRefused
from agentclust.ictc import kinds, sparing
from agentclust.types import State, Usage
from tests.scenes import PLACES, Placing
from tests.sparing.places import TRUTH, place_run, right
from tests.steps import calls, through


class Knowing(Placing):
    """A model that gives each place another word each time, and knows which words are one kind."""

    refuses: str = ""
    n_kinds: int = len(PLACES)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        result = super()._generate(messages, stop, run_manager, **kwargs)
        message = result.generations[0].message
        message.content = re.sub(r"(?m)^(.*?)(\w+)$", _saying, str(message.content))
        return result

    def states(self, prompts):
        texts = [str(prompt[-1].text) for prompt in prompts]
        if self.refuses and any(self.refuses in text for text in texts):
            raise RequestRefused("prompt", "is too long", "shorten it")
        rows = [next(i for i, p in enumerate(PLACES) if SAID[p][0] in t) for t in texts]
        return [
            State.of(self.kind(*known), Usage(1, 20)) for known in zip(rows, texts, strict=True)
        ]

    def kind(self, row, text):
        """The kind of a place, and a little that is the word's own."""
        own = np.random.default_rng(crc32(text.encode())).normal(0, 0.02, 16)
        return np.eye(16)[row % self.n_kinds] + own


SAID = {  # words that nobody would take for the place, but the model
    place: (f"q{i}", *(f"q{i}{letter}" for letter in "abcdefgh")) for i, place in enumerate(PLACES)
}


def _saying(found):
    """The line with one of the words for its place, told by where in the answer it stands."""
    before, place = found.groups()
    return before + (SAID[place][1 + found.start() % 8] if place in SAID else place)


def test_labels_are_compared_by_the_kind_that_the_model_has_in_mind(tmp_path):
    with place_run(tmp_path, model=Knowing(), focus=False) as work:
        rows = through(work)
        differ = set(sparing.asked(work).values())
        assert len(differ) > 2 * len(PLACES)
        assert calls(work, "kind") == len(differ)
        assert work.run.usage()["kind"].prompt_tokens == 20 * len(differ)
        found = kinds.of_labels(work, sorted(differ))
        assert found is not None
        assert len(found) == len(differ)
        alike = found @ found.T
        same = np.array([[a[:2] == b[:2] for b in sorted(differ)] for a in sorted(differ)])
        assert alike[same].min() > 0.9 > 0.3 > alike[~same].max()
        assert calls(work, "kind") == len(differ)  # paid for once
        assert right(rows) > 0.95


def test_places_of_one_kind_are_one_group_whatever_their_captions_say(tmp_path):
    """Beaches and forests, kitchens and streets: what captions say alone does not pair them so."""
    halves = [list(PLACES).index(place) % 2 for place in TRUTH]
    found = {}
    for on in (True, False):
        model = Knowing(n_kinds=2)
        with place_run(tmp_path / str(on), model=model, n_clusters=2, kinds=on) as work:
            found[on] = right(through(work), halves)
    assert found[True] > 0.95 > 0.8 > found[False]


def test_states_that_do_not_differ_tell_nothing():
    assert not kinds.reduced(np.ones((1, 8), dtype=np.float32)).any()
    assert not kinds.reduced(np.ones((5, 8), dtype=np.float32)).any()


@pytest.mark.parametrize("how", ["switched off", "no states", "one refused"])
def test_labels_are_compared_by_the_embedder_alone_where_no_kind_is_told(tmp_path, how):
    model = Placing() if how == "no states" else Knowing(refuses="q1b" if "one" in how else "")
    with place_run(tmp_path, model=model, kinds=how != "switched off") as work:
        assert kinds.of_labels(work, ["q0a", "q1b", "q2c"]) is None
        assert calls(work, "kind") == (2 if how == "one refused" else 0)
