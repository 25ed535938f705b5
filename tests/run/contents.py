"""What a run holds here: samples, and rows of a result."""

from pathlib import Path

from agentclust.config import make_config
from agentclust.types import Dataset, LeftOut, Sample

SAMPLES = (
    Sample("a/1.png", Path("/data/a/1.png"), "f00d", (4, 3)),
    Sample("b, 2", caption='Two\nlines, and "quotes".'),
    Sample("c", raw_label="cat"),
    Sample("d", Path("/data/d.png"), "beef", (1, 1), caption="Käse 🙂"),
)
DATASET = Dataset("photos", SAMPLES, (LeftOut("notes.txt", "no image"),), "0123")
ROWS = [
    {"id": "a/1.png", "path": "/data/a/1.png", "cluster": 1, "name": "cat", "confidence": 0.75},
    {"id": "b, 2", "path": "", "cluster": -1, "name": "", "confidence": 0.0},
    {"id": "c", "path": "", "cluster": 0, "name": "dog, wet", "confidence": 1.0},
    {"id": "d", "path": "/data/d.png", "cluster": 1, "name": "cat", "confidence": 0.5},
]
NAMES = ["dog, wet", "cat", "cow"]


def config(**settings):
    return make_config({"dataset": "photos", "criterion": "Kind of pet", "llm": "fake"} | settings)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
