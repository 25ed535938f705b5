import numpy as np
import pytest

from agentclust.captioners.builtin.colours import WORDS, lab_of, name_of, object_colours, shares

# what people call these (the X11 names say it, or every box of crayons)
SEEN_AS = {
    (230, 30, 25): "red", (140, 10, 20): "red", (200, 70, 60): "red",
    (250, 150, 20): "orange", (230, 120, 40): "orange",
    (250, 230, 60): "yellow", (220, 190, 40): "yellow",
    (30, 110, 40): "green", (130, 200, 90): "green", (90, 110, 40): "green",
    (60, 220, 220): "cyan", (20, 140, 150): "cyan",
    (30, 60, 180): "blue", (120, 180, 240): "blue", (15, 20, 80): "blue",
    (110, 40, 150): "purple", (160, 110, 210): "purple",
    (250, 160, 190): "pink", (240, 90, 160): "pink",
    (110, 65, 30): "brown", (70, 45, 25): "brown",
    (225, 200, 160): "beige",
    (15, 15, 18): "black", (125, 125, 120): "gray", (190, 190, 195): "gray",
    (250, 250, 248): "white",
}  # fmt: skip


def flat(*colours, size=400):
    """Pixels of the colours in equal parts, shape (n, 3)."""
    return np.repeat(np.array(colours, dtype=np.uint8), size // len(colours), axis=0)


@pytest.mark.parametrize(("colour", "word"), SEEN_AS.items())
def test_a_colour_gets_the_word_people_use(colour, word):
    pixels = flat(colour)
    assert name_of(lab_of(pixels[None])[0, 0]) == word
    assert shares(pixels) == {word: 1.0}
    assert object_colours(pixels) == (word,)


def test_every_word_is_seen_somewhere():
    assert set(SEEN_AS.values()) == set(WORDS)


def test_shares_come_largest_first():
    pixels = np.concatenate([flat((250, 250, 250), size=300), flat((230, 30, 25), size=100)])
    assert list(shares(pixels).items()) == [("white", 0.75), ("red", 0.25)]


def test_tones_of_one_hue_are_one_colour():
    assert object_colours(flat((250, 170, 90), (190, 100, 15))) == ("orange",)
    assert object_colours(flat((90, 120, 235), (20, 45, 140))) == ("blue",)


def test_different_hues_are_all_named():
    assert set(object_colours(flat((230, 30, 25), (30, 110, 40)))) == {"red", "green"}
    assert set(object_colours(flat((10, 10, 10), (250, 250, 250)))) == {"black", "white"}
