"""One run as one self-contained HTML file; knows what to show (`View`), not where it comes from.

The page needs no network and no other file, and a script for its map alone. Its
Content-Security-Policy forbids all else, so that a caption or file name with HTML in it stays text
even if escaping ever failed.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agentclust.errors import RunError
from agentclust.report.confusion import confusion
from agentclust.report.evidence import Evidence
from agentclust.report.gallery import groups
from agentclust.report.lines import Plot, lines
from agentclust.report.mapped import drawn
from agentclust.report.thumbnails import thumbnails
from agentclust.report.view import Agreement, Attempt, Map, Prompt, View
from agentclust.types import Clustering, Usage

__all__ = [
    "Agreement",
    "Attempt",
    "Map",
    "Plot",
    "Prompt",
    "View",
    "render",
    "write",
    "write_index",
]

HERE = Path(__file__).parent

# score -> what it is called, how it is written, what it says
SCORES: Mapping[str, tuple[str, str, str]] = {
    "acc": ("ACC", "decimal", "share in the cluster matched to their true class"),
    "nmi": ("NMI", "decimal", "information shared with the true classes, 0 to 1"),
    "ari": ("ARI", "decimal", "agreement over pairs beyond chance, at most 1"),
    "purity": ("Purity", "decimal", "share in clusters of mostly their own true class"),
    "ece": ("ECE", "decimal", "gap between confidence and accuracy, 0 is best"),
    "n": ("Compared", "count", "have a true label"),
    "unassigned": ("Unassigned", "percent", "of all are in no cluster"),
    "unsure": ("Unsure", "percent", "of all have a confidence below 0.5"),
    "confidence": ("Confidence", "decimal", "mean over the assigned"),
    "balance": ("Balance", "decimal", "1 for clusters of equal size, 0 for all in one"),
    "largest": ("Largest", "percent", "of the assigned are in the largest cluster"),
    "empty": ("Empty", "count", "clusters without a member"),
    "information": ("Information", "decimal", "what clusters and raw labels tell of each other"),
    "confusion": ("Confusion", "decimal", "overlap of the two names that are confused most"),
    "coverage": ("Coverage", "percent", "of the raw labels fit one of the names"),
    "agreement": ("Agreement", "decimal", "with k-means on captions and raw labels"),
    "echo": ("Echo", "decimal", "with the name that is nearest to each caption"),
    "quality": ("Quality", "decimal", "by which attempts of a run are compared"),
}


@dataclass(frozen=True, slots=True)
class Member:
    """One sample as a card shows it."""

    id: str
    caption: str
    raw_label: str
    confidence: float
    reason: str
    picture: str
    why: Evidence


def write(view: View, target: Path) -> Path:
    """Write the report of one run.

    Args:
        view: What to show.
        target: The HTML file; replaced only once the new one is complete.

    Returns:
        The target.

    Raises:
        RunError: The file cannot be written.
    """
    clusters, unassigned = groups(view.clustering, view.central)
    everybody = (*clusters, unassigned)
    shown = [i for group in everybody for i in (*group.first, *group.central, *group.last)]
    context = {
        "view": view,
        "clustering": view.clustering,
        "clusters": clusters,
        "unassigned": unassigned,
        "member": _members(view, shown),
        "map": view.map and drawn(view.map, view.clustering, everybody, view.captions),
        "matched": _matched(view.agreements),
        "compared": [
            (found.axis, _external_scores(found), confusion(found, view.clustering.names))
            for found in view.agreements
        ],
        "total": sum(view.usage.values(), Usage()),
        "reasons": _count_reasons(view),
    }
    return render("page.html.j2", context, target)


def write_index(runs: Sequence[tuple[Clustering, Path]], target: Path) -> Path:
    """Write a page that links the reports of several runs, such as several criteria.

    Args:
        runs: Each result with the path of its report.
        target: The HTML file; links are relative to its folder.

    Returns:
        The target.

    Raises:
        RunError: The file cannot be written.
    """
    entries = []
    for clustering, report in runs:
        clusters, unassigned = groups(clustering)
        faces = [group.first[0] for group in clusters if group.first]
        link = quote(Path(os.path.relpath(report, target.parent)).as_posix())
        member = _members(View(clustering), faces)
        entries.append((clustering, clusters, unassigned, member, link))
    return render("index.html.j2", {"entries": entries}, target)


def _members(view: View, shown: Sequence[int]) -> Callable[[int], Member]:
    """A look-up of what the cards of the `shown` samples need, by sample index."""
    clustering = view.clustering
    pictures = thumbnails(clustering.files[index] for index in shown)

    def member(index: int) -> Member:
        sample = clustering.ids[index]
        return Member(
            id=sample,
            caption=view.captions.get(sample, ""),
            raw_label=view.raw_labels.get(sample, ""),
            confidence=float(clustering.confidences[index]),
            reason=view.reasons.get(sample, "") if clustering.labels_[index] < 0 else "",
            picture=pictures.get(clustering.files[index], ""),
            why=view.evidence.get(sample, Evidence()),
        )

    return member


def _external_scores(agreement: Agreement) -> dict[str, float]:
    wanted = ("acc", "nmi", "ari", "purity", "ece", "n")
    return {name: agreement.scores[name] for name in wanted if name in agreement.scores}


def _matched(agreements: Iterable[Agreement]) -> dict[int, list[tuple[str, float]]]:
    """The true classes matched to each cluster, with their share of its labelled members."""
    matched: dict[int, list[tuple[str, float]]] = {}
    for found in agreements:
        sizes = found.counts.sum(axis=0)
        for row, column in found.matching.items():
            share = found.counts[row, column] / max(sizes[column], 1)
            matched.setdefault(column, []).append((found.classes[row], share))
    return matched


def _count_reasons(view: View) -> list[tuple[str, int]]:
    """The reasons of the unassigned, the most frequent one first."""
    counts: dict[str, int] = {}
    for index in (view.clustering.labels_ < 0).nonzero()[0]:
        reason = view.reasons.get(view.clustering.ids[index], "")
        counts[reason] = counts.get(reason, 0) + 1
    counts.pop("", None)
    return sorted(counts.items(), key=lambda item: -item[1])


def render(template: str, context: Mapping[str, Any], target: Path) -> Path:
    """Render a template into a file beside the target, then put it in the target's place.

    Raises:
        RunError: The file cannot be written.
    """
    inside = {"style": "style.css", "script": "map.js"}
    texts = {name: (HERE / file).read_text("utf-8") for name, file in inside.items()}
    digests = {name: hashlib.sha256(text.encode()).digest() for name, text in texts.items()}
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plot"] = lambda plot: Markup(lines(plot))
    environment.filters |= {"count": _count, "percent": _percent, "things": _things, "noun": _noun}
    environment.globals |= {name: Markup(text) for name, text in texts.items()}
    environment.globals |= {
        f"{name}_hash": base64.b64encode(digest).decode() for name, digest in digests.items()
    }
    environment.globals["texts"] = SCORES
    page = environment.get_template(template).generate(context)
    partial = target.with_name(target.name + ".part")
    try:
        _save(page, partial)
        partial.replace(target)
    except OSError as error:
        why = f"the report cannot be written ({error.strerror or error})"
        raise RunError(target, why, "free some space or choose another place") from None
    finally:
        partial.unlink(missing_ok=True)
    return target


def _save(chunks: Iterable[str], path: Path) -> None:
    # "replace": a file name that is no UTF-8 carries surrogates, which no page can hold
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
        stream.writelines(chunks)


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _percent(share: float) -> str:
    """A share as a percentage; only what is exactly none or all is written as 0% or 100%."""
    text = f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.1f}"
    if text == "100" and share < 1:
        text = f"{min(100 * share, 99.9):.1f}"
    return f"{text.removesuffix('.0')}%" if share else "0%"


def _things(number: int, noun: str) -> str:
    """The number and its noun, in the plural where needed."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _noun(clustering: Clustering) -> str:
    return "image" if any(clustering.files) else "sample"
