"""Captions without a vision-language model: what can be measured, and ImageNet tags.

It knows nothing of the criterion: the same image always gets the same sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import blur_effect

from agentclust.captioners.builtin.colours import lab_of, name_of, object_colours, shares
from agentclust.captioners.builtin.objects import Piece, Scene, find_objects
from agentclust.captioners.builtin.shapes import shape_word
from agentclust.captioners.builtin.tags import Tagger, load_tagger
from agentclust.files.images import read_image
from agentclust.wording import NUMBERS

VERSION = 1  # rises whenever a caption may change
EDGE = 256  # longest side that is measured, pixels; tiny pictures are scaled to half of it
SMALLEST = 8  # pixels; a narrower picture has no objects to tell apart
IRREGULAR, CUT = "irregularly shaped", "partly visible"
CANNOT_SEE = ("texture", "action", "place", "mood", "writing")
UNSEEN = f"{', '.join(CANNOT_SEE[:-1])} and {CANNOT_SEE[-1]} cannot be seen"

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]


class BuiltinCaptioner:
    """One plain sentence about each image.

    Attributes:
        identity: Names this version and its weights, for the response cache.
        cannot_see: What no caption tells anything about.
    """

    cannot_see = CANNOT_SEE

    def __init__(self, tag: Tagger, weights_sha256: str) -> None:
        self._tag = tag
        self.identity = f"builtin/{VERSION} efficientnet-lite0 sha256:{weights_sha256}"

    def caption(self, image: Path) -> str:
        """The sentence for one image.

        Raises:
            ImageProblem: The image cannot be read.
        """
        picture = read_image(image)
        small = picture.copy()
        small.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
        blur = float(blur_effect(np.asarray(small), channel_axis=-1)) if min(small.size) > 2 else 0
        pixels = _measured(small)
        lab = lab_of(pixels)
        scene = find_objects(lab) if min(small.size) >= SMALLEST else None
        parts = [
            _content(pixels, scene),
            _look(lab, blur, picture.size),
            _guess(self._tag(picture)),
        ]
        return "; ".join([*parts, UNSEEN]) + "."


def build() -> BuiltinCaptioner:
    """The captioner, its network loaded.

    Raises:
        ModelError: A package of the extra ``builtin`` lacks its data.
    """
    return BuiltinCaptioner(*load_tagger())


def _measured(small: Image.Image) -> Pixels:
    """The pixels to measure: outlines in a tiny picture are too coarse as they are."""
    factor = EDGE / 2 / max(small.size)
    if factor > 1:
        size = (max(1, round(small.width * factor)), max(1, round(small.height * factor)))
        small = small.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(small)


def _content(pixels: Pixels, scene: Scene | None) -> str:
    if scene is None:
        found = list(shares(pixels).items())[:4]
        large = [f"{word} ({share:.0%})" for word, share in found if share >= 0.08]
        mainly = _listed(large or [found[0][0]])
        return f"A picture in {mainly}, in which no separate objects can be told apart"
    tone = name_of(scene.background)
    background = f"{'an' if tone == 'orange' else 'a'} {tone} background"
    if scene.lines:
        return f"Thin lines on {background}, as in a line drawing, in which nothing can be counted"
    if not scene.objects:
        return f"Nothing but {background}"
    return f"{_objects(pixels, scene)} {background}"


def _objects(pixels: Pixels, scene: Scene) -> str:
    """How many, of which colour and shape, and where, up to the background."""
    objects, n = scene.objects, len(scene.objects)
    colours = [object_colours(pixels[piece.box][piece.mask]) for piece in objects]
    shapes = [(_shape(piece, scene.size),) for piece in objects]
    # pieces of no common shape may as well be parts of one thing
    noun = "patches" if {shape for (shape,) in shapes} <= {IRREGULAR, CUT} else "objects"
    noun = "object" if n == 1 else noun
    number = NUMBERS[n].capitalize() if n < len(NUMBERS) else str(n)
    what = f"{_common(colours, 'colored')} {_common(shapes, 'shaped')}"
    return f"{number} separate {what} {noun} {_layout(scene)}"


def _common(words: Sequence[tuple[str, ...]], kind: str) -> str:
    """What is said of all, or of most, or that they differ, and how."""
    (most, count), *others = Counter(words).most_common()
    if not others:
        return _listed(most)
    if count >= 0.6 * len(words):
        return f"mostly {_listed(most)}"
    each = list(dict.fromkeys(word for several in words for word in several))
    return f"differently {kind} ({_listed(each[:4])})"


def _shape(piece: Piece, size: tuple[int, int]) -> str:
    on_edge = 0
    for axis, span in enumerate(piece.box):
        on_edge += int(piece.mask.take(0, axis).sum()) if span.start == 0 else 0
        on_edge += int(piece.mask.take(-1, axis).sum()) if span.stop == size[axis] else 0
    if on_edge > 0.4 * sum(piece.mask.shape):  # a fifth of the way round
        return CUT
    word = shape_word(piece.mask)
    return f"{word}-shaped" if word else IRREGULAR


def _layout(scene: Scene) -> str:
    middles = np.array([[(span.start + span.stop) / 2 for span in p.box] for p in scene.objects])
    if len(middles) == 1:
        return f"{_place(middles[0] / scene.size)} of"
    height, width = np.ptp(middles, axis=0)
    if len(middles) == 2:
        apart = "side by side" if width > 2 * height else "diagonally apart"
        return f"{'one above the other' if height > 2 * width else apart} on"
    spread = np.linalg.svd(middles - middles.mean(axis=0), compute_uv=False)
    if spread[1] < 0.15 * spread[0]:
        line = "row" if width > 2 * height else "diagonal line"
        return f"in a {'column' if height > 2 * width else line} on"
    near = np.ptp(middles / scene.size, axis=0).max() < 0.4
    return "close together on" if near else "scattered over"


def _place(at: Array) -> str:
    row = ("top", "", "bottom")[int(at[0] * 3)]
    column = ("left", "", "right")[int(at[1] * 3)]
    return f"at the {f'{row} {column}'.strip()}" if row or column else "in the middle"


def _look(lab: Array, blur: float, size: tuple[int, int]) -> str:
    """Brightness by mean CIELAB lightness; sharpness by Crété et al., The blur effect, 2007."""
    levels = ("very dark", "dark", "of medium brightness", "bright")
    brightness = levels[int(np.searchsorted([18, 38, 62], lab[..., 0].mean()))]
    sharpness = "sharp" if blur < 0.42 else "blurred" if blur > 0.6 else "moderately sharp"
    return f"the picture is {brightness}, {sharpness} and {size[0]} x {size[1]} pixels large"


def _guess(tags: Sequence[tuple[str, float]]) -> str:
    likely = [f"{name} ({probability:.0%})" for name, probability in tags[:4] if probability >= 0.1]
    if not likely:
        return "an ImageNet classifier recognizes nothing"
    unsure = "" if tags[0][1] >= 0.4 else "is unsure and "
    return f"an ImageNet classifier {unsure}guesses {', '.join(likely)}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([*[", ".join(words[:-1])][: len(words) - 1], words[-1]])
