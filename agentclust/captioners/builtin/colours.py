"""Naming colours: which of thirteen plain words a person would use for what is seen.

The words are the eleven basic colour terms (Berlin & Kay, Basic Color Terms, 1969) with cyan and
beige added. Each word has several prototypes, CSS colours whose values come from Pillow, and a few
of ours where those leave a gap; a colour takes the word of its nearest prototype by CIEDE2000 in
CIELAB.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from skimage.color import deltaE_ciede2000, rgb2lab

PROTOTYPES: Mapping[str, str] = {
    "black": "black #202020",
    "white": "white snow ivory whitesmoke",
    "gray": "gray dimgray darkgray silver lightgray",
    "red": "red crimson firebrick darkred maroon indianred",
    "orange": "orange darkorange coral #d86010",
    "yellow": "yellow gold khaki darkkhaki goldenrod darkgoldenrod palegoldenrod",
    "green": "green lime limegreen forestgreen darkgreen seagreen mediumseagreen lightgreen"
    " olivedrab yellowgreen darkolivegreen darkseagreen springgreen",
    "cyan": "cyan darkturquoise mediumturquoise lightseagreen darkcyan teal paleturquoise"
    " cadetblue",
    "blue": "blue mediumblue navy midnightblue royalblue dodgerblue steelblue cornflowerblue"
    " deepskyblue skyblue",
    "purple": "purple darkviolet blueviolet indigo mediumpurple darkorchid mediumorchid darkmagenta"
    " plum",
    "pink": "pink lightpink hotpink deeppink palevioletred",
    "brown": "saddlebrown sienna #96703c #4a2c14",
    "beige": "tan wheat bisque antiquewhite",
}
WORDS = tuple(PROTOTYPES)
STEPS = 32  # a channel, in the table of names


def lab_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB (D65) of 8-bit sRGB, shape (..., 3)."""
    return np.asarray(rgb2lab(pixels), dtype=np.float64)


def name_of(lab: NDArray[np.float64]) -> str:
    """The word for one CIELAB colour, shape (3,)."""
    return WORDS[int(_nearest(lab[None])[0])]


def shares(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Which part of the pixels, shape (..., 3), each word covers, largest first."""
    step = 256 // STEPS
    r, g, b = (pixels.reshape(-1, 3) // step).T.astype(np.intp)
    counts = np.bincount(_table()[r, g, b], minlength=len(WORDS)) / max(1, len(r))
    return {WORDS[i]: float(counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]}


def object_colours(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """The word, or the words, for an object's pixels, shape (n, 3).

    One word stands for all tones of one hue: a red apple's light and dark sides are red. Where hue
    or lightness differ too much for that, every word for a fifth of the object or more is given.
    """
    lab = lab_of(pixels[None])[0]
    mean = lab.mean(axis=0)
    chroma = np.hypot(lab[:, 1], lab[:, 2]).mean()
    coherence = np.hypot(mean[1], mean[2]) / max(chroma, 1e-9)
    tones = lab[:, 0].std()
    if (coherence > 0.96 and tones < 25) or (chroma < 10 and tones < 18):
        return (name_of(mean),)
    named = shares(pixels)
    many = tuple(word for word, share in named.items() if share >= 0.2)
    return many or (next(iter(named)),)


def _nearest(lab: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the nearest prototype's word for colours of shape (n, 3)."""
    words, prototypes = _prototypes()
    some = 512  # colours at a time, so that the distances need little memory
    nearest = [
        np.argmin(deltaE_ciede2000(lab[i : i + some, None], prototypes[None]), axis=1)
        for i in range(0, len(lab), some)
    ]
    return np.asarray(words[np.concatenate(nearest)])


@cache
def _prototypes() -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    pairs = [(i, name) for i, word in enumerate(WORDS) for name in PROTOTYPES[word].split()]
    rgb = np.array([ImageColor.getrgb(name)[:3] for _, name in pairs], dtype=np.uint8)
    return np.array([i for i, _ in pairs]), lab_of(rgb[None])[0]


@cache
def _table() -> NDArray[np.intp]:
    """The word's index for every coarse sRGB value, shape (STEPS, STEPS, STEPS)."""
    step = 256 // STEPS
    axis = np.arange(STEPS, dtype=np.uint8) * step + step // 2
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    return _nearest(lab_of(grid.reshape(1, -1, 3))[0]).reshape((STEPS,) * 3)
