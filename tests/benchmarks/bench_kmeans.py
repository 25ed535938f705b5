"""`minibatch-kmeans` beside scikit-learn's MiniBatchKMeans, and faiss where it is installed.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_kmeans.py [--rows 100000 1000000] [--clusters 1000] [--threads 2]

It draws vectors around 2,000 centres of unequal weight, of length 1 and in half precision, into a
file (768 MB for a million), and lets each side cluster them in a process of its own: wall and CPU
seconds with reading the file, the inertia of the labels (points, not directions, on all sides,
measured alike), and the peak of resident memory. Ratios are to scikit-learn's side of the same run.
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

import numpy as np

WIDTH = 384
CENTRES = 2000
BLOCK = 50_000


def draw(file: Path, rows: int) -> None:
    """Unit vectors around centres that themselves lie around 100 places, noise of falling width."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(100, WIDTH))
    centres = 0.7 * places[rng.integers(0, 100, CENTRES)] + 0.7 * rng.normal(size=(CENTRES, WIDTH))
    weights = rng.gamma(2.0, size=CENTRES)
    widths = np.arange(1, WIDTH + 1) ** -0.3
    widths *= 0.9 / np.sqrt((widths**2).mean())
    mixing = widths[:, None] * np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    out = np.lib.format.open_memmap(file, "w+", "<f2", (rows, WIDTH))
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        chosen = rng.choice(CENTRES, count, p=weights / weights.sum())
        drawn = centres[chosen] + rng.standard_normal((count, WIDTH)) @ mixing
        out[start : start + count] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def by_agentclust(file: Path, clusters: int, threads: int) -> np.ndarray:
    from agentclust.clusterers.minibatch import MiniBatchKMeans

    model = MiniBatchKMeans(clusters, spherical=False, n_jobs=threads, random_state=0)
    return model.fit(np.load(file, mmap_mode="r")).labels_


def by_sklearn(file: Path, clusters: int, threads: int) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    rows = np.load(file).astype(np.float32)  # of half precision it would make double
    return MiniBatchKMeans(clusters, random_state=0).fit(rows).labels_


def by_faiss(file: Path, clusters: int, threads: int) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(threads)
    rows = np.load(file).astype(np.float32)
    model = faiss.Kmeans(WIDTH, clusters, seed=1)
    model.train(rows)
    return model.assign(rows)[1]


SIDES = {"agentclust": by_agentclust, "sklearn": by_sklearn, "faiss": by_faiss}


def inertia(file: Path, labels: np.ndarray, clusters: int) -> float:
    """Of the labels, about the means of their members."""
    rows = np.load(file, mmap_mode="r")
    sums, squares = np.zeros((clusters, WIDTH)), 0.0
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].astype(np.float32)
        squares += float((block.astype(np.float64) ** 2).sum())
        np.add.at(sums, labels[start : start + BLOCK], block)
    sizes = np.maximum(np.bincount(labels, minlength=clusters), 1)
    return squares - float(((sums**2).sum(axis=1) / sizes).sum())


def measured(side: str, file: Path, clusters: int, threads: int) -> dict[str, float]:
    """One side, in this process."""
    load = os.getloadavg()[0]
    began = time.perf_counter()
    labels = SIDES[side](file, clusters, threads)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(os.times()[:2]), 1),
        "peak_gb": round(peak, 2),
        "inertia": round(inertia(file, labels, clusters), 1),
        "load_before": round(load, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        found = measured(args.one[0], Path(args.one[1]), args.clusters, args.threads)
        print(json.dumps(found))
        return
    threads = str(args.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    words = ["--clusters", str(args.clusters), "--threads", threads]
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            file = Path(folder) / f"{rows}.npy"
            draw(file, rows)
            found: dict[str, dict[str, float]] = {}
            for side in args.sides:
                command = [sys.executable, __file__, *words, "--one", side, str(file)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    print(f"{side}: {done.stderr.strip().splitlines()[-1]}")
                    continue
                found[side] = json.loads(done.stdout)
                print(json.dumps({"rows": rows, "side": side} | found[side]), flush=True)
            if {"agentclust", "sklearn"} <= found.keys():
                ours, theirs = found["agentclust"], found["sklearn"]
                times = {"times_as_fast": round(theirs["seconds"] / ours["seconds"], 1)}
                times["by_cpu_time"] = round(theirs["cpu_seconds"] / ours["cpu_seconds"], 1)
                times["inertia"] = round(ours["inertia"] / theirs["inertia"], 4)
                print(json.dumps({"rows": rows, "ours to sklearn's": times}), flush=True)


if __name__ == "__main__":
    main()
