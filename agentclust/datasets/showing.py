"""What a dataset holds, told to a person: counts, sizes, label axes, and a contact sheet."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from agentclust import datasets, plugins
from agentclust.datasets.recipe import Recipe
from agentclust.datasets.writing import ABOUT, LABELS
from agentclust.errors import ImageProblem, InputError
from agentclust.files.images import read_image
from agentclust.files.journal import read_json

SHEET = "contact-sheet.png"
ROWS, COLUMNS = 20, 8  # of the sheet
EDGE, GAP, HEAD = 96, 8, 20  # pixels: of a picture, between them, of a row's title
SHOWN = 12  # classes of an axis that are listed


def listed(root: Path | None = None) -> Iterator[str]:
    """A line for each known dataset: its name, whether it is prepared, what it is."""
    for name in datasets.known(root):
        about = _about(datasets.folder_of(name, root))
        yield f"{name:14} {'prepared' if about else '-':8} {about.get('about') or _what(name)}"


def _what(name: str) -> str:
    """What a dataset says of itself; one that cannot be loaded says why."""
    try:
        recipe = plugins.find("datasets", name)
    except InputError as error:
        return str(error)
    if isinstance(recipe, Recipe):
        return recipe.about
    return (recipe.__doc__ or "").strip().partition("\n")[0]


def show(name: str, root: Path | None = None, sheet: Path | None = None) -> str:
    """Describe a prepared dataset, and draw its contact sheet.

    Args:
        name: The dataset.
        root: The folder of datasets.
        sheet: Where the sheet goes; by default into the dataset's folder.

    Raises:
        InputError: It is not prepared, or the sheet cannot be written.
    """
    folder = datasets.folder_of(name, root)
    about = _about(folder)
    if not about:
        if name not in datasets.known(root):
            raise plugins.unknown("dataset", name, datasets.known(root))
        where = f" --root {root}" if root else ""
        todo = f"run: agentclust datasets prepare {name}{where}"
        raise InputError(name, f"is not prepared below {folder.parent}", todo)
    classes, rows = _labels(folder, str(about["default"]))
    sheet = sheet or folder / SHEET
    try:
        contact_sheet(rows).save(sheet)
    except (OSError, ValueError) as error:  # an unknown suffix is a ValueError
        why = f"cannot be written ({error})"
        raise InputError(sheet, why, "name another with --sheet, for example sheet.png") from None
    return "\n".join([*_facts(name, folder, about, classes), f"contact sheet: {sheet}"])


def _about(folder: Path) -> dict[str, Any]:
    found = read_json(folder / ABOUT)
    return found if isinstance(found, dict) and "default" in found else {}


def _facts(
    name: str, folder: Path, about: dict[str, Any], classes: dict[str, Counter[str]]
) -> Iterator[str]:
    total = sum(about["splits"].values())
    yield f"{name}: {about['about']}"
    yield f"folder: {folder}"
    splits = ", ".join(f"{split} {n:,}" for split, n in sorted(about["splits"].items()))
    yield f"{total:,} samples: {splits}"
    for manifest, n in sorted(about["manifests"].items()):
        taken = ", which the name stands for" if manifest == about["default"] else ""
        yield f"manifest {manifest}.csv: {n:,} samples{taken}"
    if about["smallest"]:
        small, large = (" x ".join(map(str, about[key])) for key in ("smallest", "largest"))
        yield f"size: {small} pixels" + (f" to {large}" if large != small else "")
    for axis, counts in classes.items():
        unlabelled = total - counts.total()
        shown = ", ".join(f"{value} {n:,}" for value, n in counts.most_common(SHOWN))
        more = f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
        none = f"; {unlabelled:,} without" if unlabelled else ""
        yield f"axis {axis}: {len(counts)} classes ({shown}{more}){none}"
    if about["left_out"]:
        yield f"left out: {about['left_out']:,} files that are no images"


def _labels(folder: Path, manifest: str) -> tuple[dict[str, Counter[str]], dict[str, list[Path]]]:
    """How frequent each class of each axis is, and some images of each class of the first axis."""
    counts: dict[str, Counter[str]] = {}
    of: dict[str, str] = {}  # the class of some samples
    seen = Counter[str]()
    with (folder / f"{manifest}.csv").open(encoding="utf-8", newline="") as stream:
        files = {row["id"]: row["file"] for row in csv.DictReader(stream)}
    with (folder / LABELS).open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        name, *axes = reader.fieldnames or ()
        counts = {axis: Counter() for axis in axes}
        for row in reader:
            for axis in axes:
                if row[axis]:
                    counts[axis][row[axis]] += 1
            value = row[axes[0]] if axes else ""
            if files.get(row[name]) and seen[value] < COLUMNS and (value or not axes):
                seen[value] += 1
                of[row[name]] = value
    rows: dict[str, list[Path]] = defaultdict(list)
    for sample, value in of.items():
        rows[value].append(folder / files[sample])
    return counts, dict(sorted(rows.items()))


def contact_sheet(rows: dict[str, list[Path]]) -> Image.Image:
    """A picture with a row of small images for each of the first classes.

    Args:
        rows: Image files of each class.
    """
    shown = list(rows.items())[:ROWS]
    width, step = COLUMNS * (EDGE + GAP) + GAP, HEAD + EDGE + GAP
    sheet = Image.new("RGB", (width, max(1, len(shown)) * step + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (title, files) in enumerate(shown):
        top = GAP + number * step
        pen.text((GAP, top), title, "black", font)
        for place, file in enumerate(files):
            try:
                image = read_image(file, EDGE)
            except ImageProblem:  # it was removed since
                continue
            scale = EDGE // max(image.size)  # tiny pictures are shown larger
            image = image.resize((image.width * scale, image.height * scale)) if scale else image
            sheet.paste(image, (GAP + place * (EDGE + GAP), top + HEAD))
    return sheet
