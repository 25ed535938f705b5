"""Pictures, runs and a reader of pages, for the tests of the report."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from agentclust.files.images import data_url
from agentclust.metrics import external, internal
from agentclust.report import Agreement, Map, Plot, Prompt, View
from agentclust.report.evidence import Evidence
from agentclust.report.thumbnails import TILE, sheet
from agentclust.types import Clustering, LeftOut, Usage

HOSTILE = [
    "<script>document.title='ran'; window.ran = true</script>",
    "\"><img src=x onerror='window.ran = true'>",
    "' autofocus onfocus='window.ran=true' x='",
    "</style><style>body{display:none}</style>",
    "{{ 7 * 7 }} {% for %} &lt;b&gt; &amp;",
    "javascript:window.ran=true",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f98a\U0001f3fd fox " + "w" * 400,
]
COLOURS = ["firebrick", "seagreen", "royalblue", "goldenrod"]


def draw(folder: Path, count: int, size: tuple[int, int] = (320, 240)) -> list[str]:
    """Pictures of a disc, one file each."""
    files = []
    for i in range(count):
        picture = Image.new("RGB", size, COLOURS[i % len(COLOURS)])
        x = 20 + i * 7 % (size[0] - 100)
        ImageDraw.Draw(picture).ellipse((x, 40, x + 80, 120), fill="white")
        files.append(str(folder / f"{i}.png"))
        picture.save(files[-1])
    return files


def clustering(files, labels, names, confidences=None, criterion="colour", ids=None) -> Clustering:
    labels = np.array(labels, dtype=np.int64)
    if confidences is None:
        confidences = np.where(labels < 0, 0.0, 0.9)
    return Clustering(
        criterion=criterion,
        method="ictc",
        ids=tuple(ids or (f"sample-{i}" for i in range(len(labels)))),
        files=tuple(files),
        labels_=labels,
        names=tuple(names),
        confidences=np.array(confidences, dtype=float),
        run=Path(),
    )


def full_view(folder: Path, texts: list[str]) -> View:
    """A view with something of everything, every text of it taken from `texts` in turn."""
    text = [texts[i % len(texts)] for i in range(64)]
    n = 64
    labels = np.arange(n) % 4 - 1
    confidences = np.where(labels < 0, 0, np.linspace(0.3, 1, n))
    # a name may hold no slash and no more than 255 bytes; the rest of each text is kept
    files = [str(folder / f"{i}-{part.replace('/', '_')[:50]}.png") for i, part in enumerate(text)]
    for old, new in zip(draw(folder, n), files, strict=True):
        Path(old).rename(new)
    ids = [f"{i} {part}" for i, part in enumerate(text)]
    names = [f"{name} {i}" for i, name in enumerate(text[:3])]
    heat = data_url(Path(files[0]), 40)
    found = clustering([*files[:-8], *[""] * 8], labels, names, confidences, text[0], ids)
    truth = [f"class {text[label]}" for label in (labels + np.arange(n) // 50) % 3]
    scores = external(truth, labels, confidences, 3)
    return View(
        clustering=found,
        captions=dict(zip(ids, text, strict=True)),
        raw_labels=dict(zip(ids, reversed(text), strict=True)),
        reasons=dict(zip(ids, text, strict=True)),
        evidence={
            i: Evidence(heat, part, (part, part), part) for i, part in zip(ids, text, strict=True)
        },
        dataset=text[1],
        status=text[2],
        mode=text[3],
        notes=tuple(texts),
        left_out=tuple(LeftOut(part, f"reason {part}") for part in texts),
        models={part: part for part in texts},
        settings={f"setting {part}": part for part in texts},
        prompts=tuple(Prompt(part, part, part) for part in texts),
        usage={part: Usage(1000, 2000, 300, 40, 5.5) for part in texts},
        scores=internal(labels, confidences, 3) | {texts[0]: 0.5},
        agreements=(Agreement(scores.summary(), scores.classes, scores.counts, scores.matching),),
        curves=(Plot(texts[0], "candidates", {"ACC": [(50, 0.5), (64, 0.25)]}, None, texts[1]),),
        counted=Plot(texts[2], "clusters", {"silhouette": [(2, 0.1)]}, (2, "2"), texts[3]),
        map=mapped(found, texts[0]),
        central={group: np.flatnonzero(labels == group)[::-1].tolist() for group in range(3)},
        created="2025-01-02T03:04:05+00:00",
        version=text[4],
    )


def mapped(found: Clustering, how: str = "by hand") -> Map:
    """A map on which the samples of a clustering lie in rows of eight, with their pictures."""
    rows = np.arange(len(found))
    places = np.stack([rows % 8, -(rows // 8)], axis=1).astype(np.float32)
    return Map(rows, places, how, sheet(found.files), TILE)


class Reader(HTMLParser):
    """Elements, attributes and text of a page, as a browser would see them."""

    VOID = frozenset({"meta", "img", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.text += " "
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]

    def words(self) -> str:
        return " ".join(self.text.split())


def read(page: Path) -> Reader:
    return Reader(page.read_text("utf-8"))
