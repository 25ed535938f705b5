"""The page of what `agentclust explain` has found out; rows in, a file out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentclust.report import render
from agentclust.report.evidence import picture_of
from agentclust.report.thumbnails import thumbnails
from agentclust.types import Clustering
from agentclust.wording import WORD

LEVELS = 10  # of colour, as in the style of the pages

Row = Mapping[str, Any]


def write_page(about: Mapping[str, Any], clustering: Clustering, target: Path) -> Path:
    """Write the page, in the folder of the explanations.

    Args:
        about: What compares the groups (``by``, ``agreement``, ``of``), and ``images``, a row an
            image, as `agentclust.explaining.explained.Explanation.as_row` makes them.
        clustering: The result.
        target: The HTML file.

    Returns:
        The target.

    Raises:
        RunError: It cannot be written.
    """
    files = dict(zip(clustering.ids, clustering.files, strict=True))
    shown = {row["path"] for row in about["images"]}
    near = {files.get(n["id"], "") for row in about["images"] for n in row["neighbours"]}
    pictures = thumbnails(shown | near)
    entries = [
        {
            "row": row,
            "picture": pictures.get(row["path"], ""),
            "heat": picture_of(target.parent, row),
            "caption": marked(row),
            "near": [
                n | {"picture": pictures.get(files.get(n["id"], ""), "")} for n in row["neighbours"]
            ],
        }
        for row in about["images"]
    ]
    context = {"about": about, "clustering": clustering, "entries": entries}
    return render("explain.html.j2", context, target)


def marked(row: Row) -> list[tuple[str, int]]:
    """The caption in pieces, each with how much it decided: 0 to 10."""
    falls = {found["word"]: found["fall"] for found in row["words"]}
    most = max(falls.values(), default=1.0)
    pieces, end = [], 0
    for found in WORD.finditer(row["caption"]):
        level = round(LEVELS * falls.get(found[0].casefold(), 0.0) / most)
        pieces += [(row["caption"][end : found.start()], 0), (found[0], level)]
        end = found.end()
    return [piece for piece in [*pieces, (row["caption"][end:], 0)] if piece[0]]
