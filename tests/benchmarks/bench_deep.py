"""TEMI and SCAN beside k-means on the same embeddings of labelled images.

    python tests/benchmarks/bench_deep.py FOLDER [--only cifar10:object]
    python tests/benchmarks/bench_deep.py FOLDER --finetune 5 --blocks 1 --most 300

FOLDER holds, for each set, a folder of images NAME and NAME.csv: a column ``file``, then a column
of true labels an axis. The labels are read after the clustering alone, to compare. ACC is the mean
over the seeds, and so is the time relative to k-means; "silent" counts the fits that fell more than
a point below k-means of the same seed without a word of it in `doubts_`. With ``--finetune EPOCHS``
SCAN alone is compared with itself: with its own last step on fixed vectors, and with the network
fine-tuned after that; ``--most`` takes so many images of each set, at even steps.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from agentclust import metrics
from agentclust.cache import Answers, home
from agentclust.clusterers import load_clusterer
from agentclust.clusterers.scan import SCAN
from agentclust.embedders import embed_cached, load_embedder
from agentclust.files import images
from agentclust.files.arrays import Checkpoint
from agentclust.metrics.probes import probes
from agentclust.tuning.learning import Plan, learn

METHODS = ("kmeans", "temi", "scan")
SPARED = 0.01  # ACC by which a fit may fall below k-means and need not say so


def vectors(folder: Path, files: list[str], embedder: str) -> np.ndarray:
    answers = Answers(home() / "answers.sqlite")
    paths = [folder / file for file in files]
    keys = [images.probe(path)[0] for path in paths]
    found = embed_cached(load_embedder(embedder), keys, paths, answers)
    answers.close()
    return found


def image_sets(
    folder: Path, embedder: str = "efficientnet", only: Collection[str] = ()
) -> Iterator[tuple[str, np.ndarray, dict[str, list[str]]]]:
    """The name of each set (or of those in `only`), its vectors, and its labels by axis."""
    for table in sorted(folder.glob("*.csv")):
        if only and table.stem not in only:
            continue
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        found = vectors(table.with_suffix(""), [row["file"] for row in rows], embedder)
        axes = [axis for axis in rows[0] if axis not in ("id", "file")]
        yield table.stem, found, {axis: [row[axis] for row in rows] for axis in axes}


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


def finetuned(X, truth: list[str], paths: list[Path], options: argparse.Namespace) -> Iterator[str]:
    """A line a seed: ACC and seconds of SCAN, and of SCAN with the network fine-tuned."""
    embedder = load_embedder(options.embedder)
    for seed in range(options.seeds):
        begun = time.perf_counter()
        model = SCAN(len(set(truth)), random_state=seed).fit(X)
        middle = time.perf_counter()
        before = metrics.external(truth, model.labels_).acc
        plan = Plan(options.finetune, options.blocks, model.threshold, seed)
        with TemporaryDirectory() as folder:
            checkpoint = Checkpoint(Path(folder, "tuning.npz"), {})
            weights, head, why = learn(
                embedder.network(), model, paths, plan, checkpoint, lambda: None
            )
        seconds = time.perf_counter() - middle
        if not why:
            model.adopt(head, embedder.tuned(weights, "tuned").embed(paths))
        after = metrics.external(truth, model.labels_).acc
        times = f"{middle - begun:.0f} s | {seconds:.0f} s"
        yield f"{seed} | {before:.3f} | {after:.3f} | {times} | {why or 'taken'}"


def tables(options: argparse.Namespace) -> Iterator[str]:
    if options.finetune:
        yield "| set | k | n | seed | SCAN | fine-tuned | SCAN took | fine-tuning took | outcome |"
        yield "|---" * 9 + "|"
    else:
        yield "| set | k | n | " + " | ".join(METHODS) + " | linear probe | k-NN probe | silent |"
        yield "|---" * (len(METHODS) + 6) + "|"
    for table in sorted(options.folder.glob("*.csv")):
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        rows = rows[:: max(1, len(rows) // options.most)][: options.most]
        axes = [axis for axis in rows[0] if axis != "file"]
        wanted = [axis for axis in axes if f"{table.stem}:{axis}" in (options.only or ())]
        if options.only and not wanted:
            continue
        X = vectors(table.with_suffix(""), [row["file"] for row in rows], options.embedder)
        for axis in wanted or axes:
            truth = [row[axis] for row in rows]
            head = f"{table.stem} {axis} | {len(set(truth))} | {len(truth)}"
            if options.finetune:
                paths = [table.with_suffix("") / row["file"] for row in rows]
                yield from (f"| {head} | {x} |" for x in finetuned(X, truth, paths, options))
                continue
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
            yield f"| {head} | {' | '.join(cells)} | {bounds} | {silent} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", metavar="SET:AXIS")
    parser.add_argument("--embedder", default="efficientnet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--finetune", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--blocks", type=lambda n: n if n == "all" else int(n), default=1)
    parser.add_argument("--most", type=int, default=sys.maxsize, metavar="N")
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
