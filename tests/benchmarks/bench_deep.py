"""TEMI and SCAN beside k-means on the same embeddings of labelled images.

    python tests/benchmarks/bench_deep.py FOLDER [--only cifar10:object]

FOLDER holds, for each set, a folder of images NAME and NAME.csv: a column ``file``, then a column
of true labels an axis. The labels are read after the clustering alone, to compare. ACC is the mean
over the seeds, and so is the time relative to k-means; "silent" counts the fits that fell more than
a point below k-means of the same seed without a word of it in `doubts_`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agentclust import metrics
from agentclust.cache import Answers, home
from agentclust.clusterers import load_clusterer
from agentclust.embedders import embed_cached, load_embedder
from agentclust.files import images
from agentclust.metrics.probes import probes

METHODS = ("kmeans", "temi", "scan")
SPARED = 0.01  # ACC by which a fit may fall below k-means and need not say so


def vectors(folder: Path, files: list[str], embedder: str) -> np.ndarray:
    answers = Answers(home() / "answers.sqlite")
    paths = [folder / file for file in files]
    keys = [images.probe(path)[0] for path in paths]
    found = embed_cached(load_embedder(embedder), keys, paths, answers)
    answers.close()
    return found


def compared(X: np.ndarray, truth: list[str], seeds: int) -> dict[str, dict]:
    """What each method reaches: ACC and seconds of each seed, and how often it fell silently."""
    k = len(set(truth))
    found = {method: {"acc": [], "seconds": [], "silent": 0} for method in METHODS}
    for seed in range(seeds):
        for method, rows in found.items():
            begun = time.perf_counter()
            model = load_clusterer(method, k, seed).fit(X)
            rows["seconds"].append(time.perf_counter() - begun)
            rows["acc"].append(metrics.external(truth, model.labels_).acc)
            short = found["kmeans"]["acc"][-1] - rows["acc"][-1] > SPARED
            rows["silent"] += short and not getattr(model, "doubts_", [])
    return found


def tables(options: argparse.Namespace) -> Iterator[str]:
    yield "| set | k | n | " + " | ".join(METHODS) + " | linear probe | k-NN probe | silent |"
    yield "|---" * (len(METHODS) + 6) + "|"
    for table in sorted(options.folder.glob("*.csv")):
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        axes = [axis for axis in rows[0] if axis != "file"]
        wanted = [axis for axis in axes if f"{table.stem}:{axis}" in (options.only or ())]
        if options.only and not wanted:
            continue
        X = vectors(table.with_suffix(""), [row["file"] for row in rows], options.embedder)
        for axis in wanted or axes:
            truth = [row[axis] for row in rows]
            found = compared(X, truth, options.seeds)
            first = np.mean(found["kmeans"]["seconds"])
            cells = [
                f"{np.mean(of['acc']):.3f} ± {np.std(of['acc']):.3f} "
                f"({np.mean(of['seconds']) / first:.0f}x)"
                for of in found.values()
            ]
            known = probes(X, truth)
            bounds = f"{known['linear_probe']:.3f} | {known['knn_probe']:.3f}"
            silent = sum(of["silent"] for of in found.values())
            head = f"{table.stem} {axis} | {len(set(truth))} | {len(truth)}"
            yield f"| {head} | {' | '.join(cells)} | {bounds} | {silent} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", metavar="SET:AXIS")
    parser.add_argument("--embedder", default="efficientnet")
    parser.add_argument("--seeds", type=int, default=3)
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
