"""What Ray costs beside this process: the same run with both engines, one after the other.

The fake model answers at once or after `--latency` seconds, so that what is measured is the way to
an answer and back, and the journal. Ray has two workers on a machine of two cores, this process
answers one by one. ``python -m tests.benchmarks.bench_engines --rows 5000``
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from agentclust import service
from agentclust.config import make_config
from agentclust.progress import Reporter
from agentclust.service import Place

WORDS = ("car", "bird", "tree", "boat", "house", "cloud", "horse", "lamp")


class Timed(Reporter):
    """Notes when the step of labels begins and ends."""

    def step(self, name: str, total: int, done: int = 0):
        if name == "label":
            self.began = time.perf_counter()
        return super().step(name, total, done)

    def say(self, text: str) -> None:
        if "different raw labels" in text:
            self.label_seconds = time.perf_counter() - self.began


def measured(folder: Path, rows: int, llm: str, place: Place) -> tuple[float, float]:
    """Seconds of a whole run, and of its step of labels."""
    config = make_config(
        {"dataset": str(folder / "m.jsonl"), "criterion": "thing", "n_clusters": 6,
         "llm": {"model": llm, "concurrency": 2}, "method": "ictc", "embedder": "tfidf",
         "cache": False}
    )  # fmt: skip
    reporter = Timed(quiet=True)
    began = time.perf_counter()
    service.start([config], folder / place.engine, reporter=reporter, place=place)
    return time.perf_counter() - began, reporter.label_seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--address", default="")
    asked = parser.parse_args()
    chooser = random.Random(0)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with (folder / "m.jsonl").open("w") as stream:
            for i in range(asked.rows):
                text = f"Number {i} by the sea, in the morning, shows a {chooser.choice(WORDS)}."
                stream.write(json.dumps({"id": f"s{i}", "caption": text}) + "\n")
        llm = f"fake:{asked.latency}" if asked.latency else "fake"
        found = {}
        for place in (Place(), Place("ray", asked.address)):
            whole, label = found[place.engine] = measured(folder, asked.rows, llm, place)
            print(f"{place.engine:6} run {whole:6.1f} s, labels {label:6.1f} s, "
                  f"{asked.rows / label:6.0f} answers/s")  # fmt: skip
        print(f"labels by ray took {found['ray'][1] / found['local'][1]:.2f} times as long")
        size = {f.name: f.stat().st_size / asked.rows for f in (folder / "ray").rglob("*.*")}
        for name, each in sorted(size.items(), key=lambda item: -item[1])[:8]:
            print(f"{name:20} {each:6.0f} bytes a sample")


if __name__ == "__main__":
    main()
