import numpy as np
import pytest
from pictures import KNOWN, NAMELESS, filled

from agentclust.captioners.builtin.shapes import shape_word

CASES = [(word, i) for word, outlines in KNOWN.items() for i in range(len(outlines))]


@pytest.mark.parametrize("radius", [20, 35, 90])
@pytest.mark.parametrize(("word", "i"), CASES)
def test_a_shape_is_named_at_any_size_and_turn(word, i, radius):
    found = [shape_word(filled(KNOWN[word][i], radius, turn)) for turn in (0.1, 0.75, 2.3)]
    assert found == [word] * 3


@pytest.mark.parametrize("radius", [25, 60])
@pytest.mark.parametrize("thing", NAMELESS)
def test_a_shape_without_a_word_gets_none(thing, radius):
    found = [shape_word(filled(NAMELESS[thing], radius, turn)) for turn in (0.1, 0.75, 2.3)]
    assert found == [None] * 3


def test_what_is_too_small_gets_no_word():
    assert shape_word(filled(KNOWN["star"][0], 6, 0.3)) is None


def test_an_outline_that_fills_its_box_is_measured():
    assert shape_word(np.ones((30, 30), dtype=bool)) == "square"
    assert shape_word(np.ones((20, 50), dtype=bool)) == "rectangle"
