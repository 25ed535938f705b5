"""Changing pictures at random so that they still show the same: what a network learns to look past.

It knows pictures of Pillow and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

APPLIED = 4  # operations a picture
KEPT = 0.8  # share of each side that a crop keeps at least
HOLE = 0.5  # of the shorter side, the edge of what is cut out at most
GREY = (128, 128, 128)  # of what lies beyond the edges

Operation = Callable[[Image.Image, float], Image.Image]


def _moved(*terms: Callable[[float, Image.Image], float]) -> Operation:
    """An affine transform whose six terms follow from the strength."""

    def applied(image: Image.Image, strength: float) -> Image.Image:
        data = tuple(term(strength, image) for term in terms)
        way, how = Image.Transform.AFFINE, Image.Resampling.BILINEAR
        return image.transform(image.size, way, data, how, fillcolor=GREY)

    return applied


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    """Colour, contrast, brightness or sharpness from a tenth to nearly twice as much."""
    return lambda image, strength: kind(image).enhance(1 + 0.9 * strength)


def _zero(*_: object) -> float:
    return 0.0


def _one(*_: object) -> float:
    return 1.0


# each with a strength from -1 to 1
OPERATIONS: tuple[Operation, ...] = (
    lambda image, _: image,
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
    lambda image, strength: ImageOps.posterize(image, 8 - round(4 * abs(strength))),
    lambda image, strength: ImageOps.solarize(image, round(256 * (1 - abs(strength)))),
    lambda image, strength: image.rotate(30 * strength, Image.Resampling.BILINEAR, fillcolor=GREY),
    _enhanced(ImageEnhance.Color),
    _enhanced(ImageEnhance.Contrast),
    _enhanced(ImageEnhance.Brightness),
    _enhanced(ImageEnhance.Sharpness),
    _moved(_one, lambda s, _: 0.3 * s, _zero, _zero, _one, _zero),
    _moved(_one, _zero, _zero, lambda s, _: 0.3 * s, _one, _zero),
    _moved(_one, _zero, lambda s, image: 0.3 * s * image.width, _zero, _one, _zero),
    _moved(_one, _zero, _zero, _zero, _one, lambda s, image: 0.3 * s * image.height),
)


def strong(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A picture changed a good deal: flipped, cropped, operated upon four times, a square cut out.

    Operations and strengths are drawn uniformly (RandAugment, Cubuk et al., NeurIPS 2020, section
    3, without its search for one strength), as SCAN does (Van Gansbeke et al., ECCV 2020), which
    ends with a square cut out (Cutout, DeVries and Taylor, 2017).

    Args:
        image: RGB, any size.
        random: Where chance comes from.

    Returns:
        RGB, a little smaller.
    """
    image = _cropped(image, random)
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    for chosen in random.integers(len(OPERATIONS), size=APPLIED):
        image = OPERATIONS[chosen](image, random.uniform(-1, 1))
    return _cut_out(image, random)


def _cropped(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A part of the picture in its own proportions."""
    share = random.uniform(KEPT, 1)
    width, height = (max(1, round(share * edge)) for edge in image.size)
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _cut_out(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """The picture with a grey square somewhere, part of it maybe beyond the edge."""
    half = random.uniform(0, HOLE) * min(image.size) / 2
    x, y = random.uniform(0, image.width), random.uniform(0, image.height)
    image = image.copy()
    image.paste(GREY, (round(x - half), round(y - half), round(x + half), round(y + half)))
    return image
