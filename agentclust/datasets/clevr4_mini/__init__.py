"""clevr4-mini: pictures drawn here after the four taxonomies of Clevr-4, in Clevr-4's layout.

Clevr-4 (Vaze, Vedaldi, Zisserman: No Representation Rules Them All in Category Discovery, NeurIPS
2023) labels each picture by texture, shape, color and count, ten values each, chosen independently;
all objects of one picture are alike. Its folder holds ``images/NAME.png`` and
``clevr_4_annots.json``: NAME -> texture, shape, color, count (a number) and split (train or val).
Clevr-4's objects are rendered in three dimensions; ours are flat, so shapes and textures differ.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from agentclust.datasets.clevr4_mini.drawing import COLORS, SHAPES, TEXTURES, draw
from agentclust.datasets.writing import ABOUT, FORMAT, staged
from agentclust.errors import InputError
from agentclust.files.journal import write_json

DRAWING = 1  # rises when the same n and seed give other pictures


def prepare(root: Path, n: int = 80, seed: int = 0) -> Path:
    """Pictures drawn here, by texture, shape, colour and count.

    They are drawn into `root`, or those that are already there are taken. ``root/images`` is the
    folder to cluster, ``root/all.csv`` its manifest; ``root/labels.csv`` holds the true labels, its
    column ``file`` relative to ``root/images``.

    Args:
        root: The folder to make; absent, empty, or prepared before with the same `n` and `seed`.
        n: How many pictures. Every value of every axis is equally frequent if 10 divides it.
        seed: Decides labels and pictures.

    Returns:
        `root`.

    Raises:
        InputError: `n` or `seed` is out of range, `root` holds something else, or it cannot be
            written.
    """
    if not 1 <= n <= 1_000_000:
        raise InputError(f"n={n}", "is not in 1..1,000,000", "ask for example for n=100")
    if seed < 0:
        raise InputError(f"seed={seed}", "is negative", "give 0 or a positive number")
    annotations = annotate(n, seed)
    made_by = {"name": "clevr4-mini", "drawing": DRAWING, "n": n, "seed": seed}
    try:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            if not _is_prepared(root, made_by, annotations):
                why = f"holds something other than clevr4-mini with n={n} and seed={seed}"
                raise InputError(root, why, "name another folder, or remove this one")
            if not (root / ABOUT).exists():  # made by an earlier version
                _describe(root, annotations)
        else:
            _write(root, made_by, annotations, seed)
    except OSError as error:
        why = f"cannot be written ({error.strerror or error})"
        raise InputError(root, why, "name a folder you may write to, on a disk with room") from None
    return root


def annotate(n: int, seed: int) -> dict[str, dict[str, Any]]:
    """Clevr-4's annotations for `n` pictures: each axis balanced, shuffled on its own."""
    rng = np.random.default_rng(seed)
    axes: dict[str, list[Any]] = {
        "texture": list(TEXTURES),
        "shape": list(SHAPES),
        "color": list(COLORS),
        "count": list(range(1, 11)),
    }
    columns: dict[str, list[Any]] = {}
    for axis, values in axes.items():
        shuffled = [values[i] for i in rng.permutation(10)]  # which value gets one more is chance
        columns[axis] = [shuffled[i % 10] for i in rng.permutation(n)]
    columns["split"] = ["val" if i % 5 == 4 else "train" for i in rng.permutation(n)]
    return {f"{i:06d}": {axis: columns[axis][i] for axis in columns} for i in range(n)}


def _is_prepared(root: Path, made_by: dict[str, Any], annotations: dict[str, Any]) -> bool:
    try:
        made = json.loads((root / "made_by.json").read_text("utf-8"))
        found = json.loads((root / "clevr_4_annots.json").read_text("utf-8"))
        images = {file.name for file in (root / "images").iterdir()}
    except (OSError, ValueError):
        return False
    labelled = (root / "labels.csv").is_file()
    whole = images == {f"{name}.png" for name in annotations}
    return bool(labelled and whole and made == made_by and found == annotations)


def _write(
    root: Path, made_by: dict[str, Any], annotations: dict[str, dict[str, Any]], seed: int
) -> None:
    """Everything into a hidden folder beside `root`, which takes its name when all is there."""
    with staged(root) as part:
        (part / "images").mkdir()
        for i, (name, label) in enumerate(annotations.items()):
            what = label["shape"], label["color"], label["texture"], label["count"]
            rng = np.random.default_rng([seed, i])
            draw(*what, rng).save(part / "images" / f"{name}.png")
        _write_labels(part / "labels.csv", annotations)
        for name, content in [("clevr_4_annots", annotations), ("made_by", made_by)]:
            (part / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        _describe(part, annotations)


def _describe(root: Path, annotations: dict[str, dict[str, Any]]) -> None:
    """The manifest, and what `datasets show` tells."""
    with (root / "all.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "file"])
        rows.writerows([f"{name}.png", f"images/{name}.png"] for name in annotations)
    about = {
        "format": FORMAT,
        "name": "clevr4-mini",
        "about": "pictures drawn here, by texture, shape, colour and count",
        "default": "all",
        "splits": {"all": len(annotations)},
        "manifests": {"all": len(annotations)},
        "axes": ["texture", "shape", "colour", "count"],
        "smallest": [256, 256],
        "largest": [256, 256],
        "left_out": 0,
    }
    write_json(root / ABOUT, about)


def _write_labels(file: Path, annotations: dict[str, dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "texture", "shape", "colour", "count"])
        for name, label in annotations.items():
            values = [label[axis] for axis in ("texture", "shape", "color", "count")]
            rows.writerow([f"{name}.png", *values])
