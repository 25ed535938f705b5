"""Why images are where they are: what is found out about each, as plain data and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentclust.wording import printable

Heat = NDArray[np.float32]
Box = tuple[float, float, float, float]

ACROSS, DOWN = ("left", "middle", "right"), ("upper", "middle", "lower")
SIDES = {("middle", "middle"): "in the middle", ("upper", "middle"): "at the top",
         ("lower", "middle"): "at the bottom"}  # fmt: skip


@dataclass
class Explanation:
    """Why one image, or caption, is where it is.

    Attributes:
        id: The sample.
        path: Its image, empty where it has none.
        name: Its group, empty where it is in none.
        confidence: As of the run, 0..1.
        told: What a session says to "why is it here", a line or several.
        runner_up: The group that comes next.
        margin: The score of the own group less that of the runner-up; below 0 where what scores
            them would have put it there.
        neighbours: The samples nearest in the embedding: id, name, similarity (cosine).
        words: The words of its caption that decide, with how far the margin falls without each.
        heat: Where the evidence in its image lies, summing to 1, shape (h, w).
        seen: The part of the image that `heat` covers: left, top, right, bottom as shares of it.
        file: Where in the folder of explanations the heat map is drawn, once it is.
        caption: The caption.
        raw_label: The raw label.
        probabilities: How probable the language model took each group to be.
        notes: What could not be found out, and why.
    """

    id: str
    path: str
    name: str
    confidence: float
    told: str
    runner_up: str = ""
    margin: float | None = None
    neighbours: list[dict[str, Any]] = field(default_factory=list)
    words: list[tuple[str, float]] = field(default_factory=list)
    heat: Heat | None = None
    seen: Box = (0.0, 0.0, 1.0, 1.0)
    file: str = ""
    caption: str = ""
    raw_label: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_row(self) -> dict[str, Any]:
        """The explanation as JSON knows it."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del row["file"], row["seen"]
        row["words"] = [{"word": word, "fall": round(fall, 4)} for word, fall in self.words]
        row["margin"] = None if self.margin is None else round(self.margin, 4)
        row["probabilities"] = {name: round(p, 4) for name, p in self.probabilities.items()}
        row["heat"] = None
        if self.heat is not None:
            share, where = lies(self.heat, self.seen)
            row["heat"] = {
                "file": self.file,
                "half_in": round(share, 4),
                "where": where,
                "seen": [round(edge, 4) for edge in self.seen],
                "grid": [[round(value, 5) for value in line] for line in self.heat.tolist()],
            }
        return row


@dataclass(frozen=True)
class Explained:
    """Explanations of a run.

    Attributes:
        by: What scores the groups, or why nothing does.
        agreement: The share of all samples in a group that it puts where the run has them, 0..1;
            None where nothing scores them.
        of: What was looked at: "image" or "text".
        images: One an image.
    """

    by: str
    agreement: float | None
    of: str
    images: Sequence[Explanation]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        images = [one.as_row() for one in self.images]
        return {"by": self.by, "agreement": self.agreement, "of": self.of, "images": images}


def lies(heat: Heat, seen: Box) -> tuple[float, str]:
    """Where the evidence lies: the least share of the picture that holds half of it, and words."""
    held = np.append(0, np.sort(heat, axis=None)[::-1].cumsum())
    left, top, right, bottom = seen
    area = (right - left) * (bottom - top)
    share = np.interp(held[-1] / 2, held, np.arange(len(held))) / heat.size * area
    rows, columns = (np.arange(n) + 0.5 for n in heat.shape)
    x = left + (right - left) * float(heat.sum(axis=0) @ columns) / heat.shape[1] / heat.sum()
    y = top + (bottom - top) * float(heat.sum(axis=1) @ rows) / heat.shape[0] / heat.sum()
    vertical, horizontal = DOWN[min(int(3 * y), 2)], ACROSS[min(int(3 * x), 2)]
    plain = f"at the {horizontal}" if vertical == "middle" else f"at the {vertical} {horizontal}"
    return float(share), SIDES.get((vertical, horizontal), plain)


def as_text(found: Explained) -> str:
    """What was found out, a block an image."""
    agreed = "" if found.agreement is None else f" (agrees with {found.agreement:.0%} of the run)"
    first = f"groups compared by: {found.by}{agreed}"
    return printable("\n\n".join([first, *map(_block, found.images)]))


def _block(one: Explanation) -> str:
    lines = [one.told]
    if one.margin is not None:
        what = "ahead of" if one.margin >= 0 else "yet behind"
        lines.append(f"  {what} {one.runner_up} by {abs(one.margin):.3f}")
    if one.heat is not None:
        share, where = lies(one.heat, one.seen)
        lines.append(f"  evidence: half of it in {share:.0%} of the picture, {where}")
    if one.words:
        listed = ", ".join(f"{word} {fall:.2f}" for word, fall in one.words)
        lines.append(f"  words, by what that would lose without each: {listed}")
    if one.neighbours:
        listed = ", ".join(
            f"{n['id']} ({n['name'] or 'unassigned'}, {n['similarity']:.2f})"
            for n in one.neighbours
        )
        lines.append(f"  nearest: {listed}")
    return "\n".join([*lines, *(f"  {note}" for note in one.notes)])
