"""What a sample costs in memory and time, from the plan over a run with the fake model to exports.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_scale.py [--samples 200000] [--base 2000] [--given raw_label]

It writes manifests of both sizes and takes each through every step in a process of its own. Bytes
a sample are the difference of the two highest memories, shared by the samples that one has more;
samples a second are by the processor's time, which other work on the machine does not lengthen.
With ``--given caption`` every sample is asked about, which the fake model and the answer store do,
too: their part is not told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THINGS = ("ball", "cone", "cube", "ring", "star", "disc", "gear", "tube", "bolt", "wedge")


def write(folder: Path, n: int, given: str) -> None:
    """A manifest of `n` samples and their true labels."""
    with (folder / "m.jsonl").open("w") as manifest, (folder / "labels.csv").open("w") as labels:
        labels.write("id,shape\n")
        for i in range(n):
            thing = THINGS[i * 7 % len(THINGS)]
            text = thing if given == "raw_label" else f"picture {i} shows a {thing}"
            manifest.write(json.dumps({"id": f"sample-{i:06d}", given: text}) + "\n")
            labels.write(f"sample-{i:06d},{thing}\n")


def measure(folder: Path) -> None:
    """Take the manifest through every step, and print what each took."""
    from agentclust import datasets, service
    from agentclust.config import make_config
    from agentclust.pages import write_report
    from agentclust.progress import Reporter
    from agentclust.service.estimate import estimate

    values = {"dataset": str(folder / "m.jsonl"), "criterion": "shape", "n_clusters": 10,
              "llm": "fake", "method": "ictc", "embedder": "tfidf"}  # fmt: skip
    config = make_config(values)
    quiet, run = Reporter(quiet=True), folder / "run"

    def plan() -> None:
        estimate(config, datasets.load(config.dataset).samples, sees=False)

    steps = {
        "plan": plan,
        "run": lambda: service.start([config], run, reporter=quiet),
        "evaluate": lambda: service.evaluate(run, folder / "labels.csv"),
        "report": lambda: write_report(run),
        "export csv": lambda: service.export(run, "csv"),
        "export parquet": lambda: service.export(run, "parquet"),
    }
    for name, step in steps.items():
        began = time.process_time()
        step()
        took = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024
        print(json.dumps({"step": name, "seconds": took, "peak": peak}), flush=True)


def main() -> None:
    """Measure both sizes and compare them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--base", type=int, default=2_000)
    parser.add_argument("--given", choices=("raw_label", "caption"), default="raw_label")
    parser.add_argument("--measure", type=Path)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    found: list[list[dict[str, float]]] = []
    for n in (options.base, options.samples):
        with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
            folder = Path(name)
            write(folder, n, options.given)
            environment = os.environ | {"AGENTCLUST_HOME": str(folder / "home")}
            command = (sys.executable, __file__, "--measure", str(folder))
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            found.append([json.loads(line) for line in done.stdout.splitlines()])
    more, whole = options.samples - options.base, 0.0
    print(f"{options.samples:,} samples with a given {options.given}, beside {options.base:,}")
    for base, large in zip(*found, strict=True):
        seconds = large["seconds"] - base["seconds"]
        whole += seconds
        grown = (large["peak"] - base["peak"]) / more
        print(
            f"{large['step']:15} {more / max(seconds, 1e-9):11,.0f} samples a second of processor "
            f"time, {grown:6,.0f} bytes a sample at the highest so far"
        )
    print(f"{'all':15} {more / whole:11,.0f} samples a second of processor time")


if __name__ == "__main__":
    main()
