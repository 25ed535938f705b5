"""How near criteria come to the number of groups that a person knows, and what a miss costs.

    python -m tests.benchmarks.bench_k [--images FOLDER] [--captions FOLDER] [--seeds 3]
                                       [--only SET...] [--criteria NAME...]

k-means makes 2 to 30 clusters of each set, and each criterion chooses among these clusterings, but
for the silhouette, which is what `--n-clusters auto` does and may go on; no criterion sees a label.
Sets are scikit-learn's digits, drawn blobs of 3 to 25 groups and of 30 to 110 ("many"); with
--images the sets of bench_deep.py, embedded by EfficientNet, and with --captions folders with
``captions.jsonl`` and ``labels.csv``, embedded by MiniLM. Of several axes of labels over the same
vectors the one that is nearest to what was chosen counts, as nothing tells a criterion which was
meant.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans as Plain
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import calinski_harabasz_score, silhouette_score
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from agentclust import metrics
from agentclust.clusterers.counting import looked_at
from agentclust.clusterers.flattening import flattened
from agentclust.clusterers.kmeans import KMeans
from agentclust.embedders import load_embedder
from tests.benchmarks.bench_deep import image_sets

MOST = 30
BLOBS, MANY = 20, 12
DRAWN = 3  # uniform references of the gap statistic
Set = tuple[str, np.ndarray, dict[str, list[str]]]
Partitions = list[np.ndarray]


def blobs() -> Iterator[Set]:
    random = np.random.default_rng(0)
    for number in range(BLOBS):
        k, width = int(random.integers(3, 26)), int(random.choice([16, 64, 256]))
        n, spread = int(random.integers(10, 60)) * k, random.uniform(0.5, 1.1)
        yield f"blobs {number}", *_drawn(random, k, width, n, spread)


def many_blobs() -> Iterator[Set]:
    random = np.random.default_rng(7)
    for number in range(MANY):
        k, width = int(random.integers(30, 110)), int(random.choice([64, 256]))
        n, spread = int(random.integers(20, 100)) * k, random.uniform(0.5, 1.0)
        yield f"many {number}", *_drawn(random, k, width, n, spread)


def _drawn(
    random: np.random.Generator, k: int, width: int, n: int, spread: float
) -> tuple[np.ndarray, dict[str, list[str]]]:
    centers = normalize(random.normal(size=(k, width)))
    truth = random.choice(k, n, p=random.dirichlet(np.full(k, 5.0)))
    rows = centers[truth] + spread * random.normal(size=(n, width)) / np.sqrt(width)
    return rows, {"blob": [str(t) for t in truth]}


def sets(options: argparse.Namespace) -> Iterator[Set]:
    digits = load_digits()
    yield "digits", digits.data, {"digit": [str(t) for t in digits.target]}
    if options.images:
        yield from image_sets(options.images)
    for file in sorted(options.captions.glob("*/labels.csv")) if options.captions else ():
        with file.open(encoding="utf-8", newline="") as stream:
            truth = {row["id"]: row["label"] for row in csv.DictReader(stream)}
        with (file.parent / "captions.jsonl").open(encoding="utf-8") as stream:
            known = [row for row in map(json.loads, stream) if row["id"] in truth]
        found = load_embedder("minilm").embed([row["caption"] for row in known])
        yield f"{file.parent.name} captions", found, {"label": [truth[r["id"]] for r in known]}
    yield from blobs()
    yield from many_blobs()


def counted(partitions: Partitions) -> list[int]:
    return [len(np.unique(labels)) for labels in partitions]


def by_silhouette(rows: np.ndarray, partitions: Partitions, seed: int) -> int:
    """What `--n-clusters auto` does."""
    return KMeans(random_state=seed).fit(rows).curve_.n_clusters


def by_umap(rows: np.ndarray, partitions: Partitions, seed: int) -> int:
    """The best silhouette of k-means on two dimensions of UMAP."""
    flat = flattened(rows, "umap", 2, seed)
    there = (Plain(k, n_init=10, random_state=seed).fit_predict(flat) for k in counted(partitions))
    return 2 + _best(silhouette_score(flat, labels) for labels in there)


def by_umap_space(rows: np.ndarray, partitions: Partitions, seed: int) -> int:
    """The best silhouette of the clusterings themselves, in two dimensions of UMAP."""
    flat = flattened(rows, "umap", 2, seed)
    return 2 + _best(silhouette_score(flat, p) for p in partitions)


def by_variance_ratio(rows: np.ndarray, partitions: Partitions, seed: int) -> int:
    """Calinski and Harabasz (1974)."""
    return 2 + _best(calinski_harabasz_score(rows, p) for p in partitions)


def by_gap(rows: np.ndarray, partitions: Partitions, seed: int) -> int:
    """Tibshirani, Walther and Hastie (2001), in the box of 50 principal components."""
    flat = PCA(min(50, *rows.shape)).fit_transform(rows)
    random = np.random.default_rng(seed)
    drawn = [random.uniform(flat.min(0), flat.max(0), flat.shape) for _ in range(DRAWN)]
    counts = counted(partitions)
    found = np.log([[Plain(k, n_init=1, random_state=seed).fit(d).inertia_ for k in counts]
                    for d in drawn])  # fmt: skip
    own = np.log([sum(flat[p == g].var(axis=0).sum() * (p == g).sum() for g in np.unique(p))
                  for p in partitions])  # fmt: skip
    gap, error = found.mean(0) - own, found.std(0) * np.sqrt(1 + 1 / DRAWN)
    fits = (i for i in range(len(gap) - 1) if gap[i] >= gap[i + 1] - error[i + 1])
    return counts[next(fits, len(gap) - 1)]


CRITERIA: dict[str, Callable[[np.ndarray, Partitions, int], int]] = {
    "silhouette": by_silhouette,
    "UMAP, k-means there": by_umap,
    "UMAP, silhouette there": by_umap_space,
    "Calinski-Harabasz": by_variance_ratio,
    "gap": by_gap,
}


def _best(scores: Iterator[float]) -> int:
    return int(np.argmax(list(scores)))


def cell(
    k: int, partition: Callable[[int], np.ndarray], truths: dict[str, list[str]]
) -> tuple[float, float]:
    """How far off k is (in doublings) and the ACC that it costs, by the axis that is nearest."""
    found = []
    for truth in truths.values():
        true = len(set(truth))
        acc, known = (metrics.external(truth, partition(count)).acc for count in (k, true))
        found.append((abs(np.log2(k / true)), acc - known))
    return min(found)


def _kind(name: str) -> str:
    return name.split()[0] if name.startswith(("blobs", "many")) else "sets"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--captions", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--criteria", nargs="*", choices=CRITERIA, default=list(CRITERIA))
    options = parser.parse_args()
    criteria = {name: CRITERIA[name] for name in options.criteria}
    print("| set | k | " + " | ".join(criteria) + " |\n" + "|---" * (len(criteria) + 2) + "|")
    off: dict[str, list[tuple[float, float, str]]] = {c: [] for c in criteria}
    with threadpool_limits(1):
        for name, X, truths in sets(options):
            if options.only and not name.startswith(tuple(options.only)):
                continue
            rows = normalize(np.asarray(X, dtype=np.float64))
            some = looked_at(len(rows), 0)
            rows, truths = rows[some], {a: [t[i] for i in some] for a, t in truths.items()}
            chosen: dict[str, list[int]] = {criterion: [] for criterion in criteria}
            for seed in range(1 if name.startswith(("blobs", "many")) else options.seeds):
                counts = range(2, min(MOST, len(np.unique(rows, axis=0)) - 1) + 1)
                partitions = list(KMeans(random_state=seed)._partitions(rows, counts))
                made = dict(zip(counts, partitions, strict=True))

                def partition(
                    count: int, rows: np.ndarray = rows, made: dict = made, seed: int = seed
                ) -> np.ndarray:
                    if count not in made:
                        made[count] = KMeans(count, random_state=seed).fit(rows).labels_
                    return made[count]

                for criterion, choose in criteria.items():
                    k = choose(rows, partitions, seed)
                    chosen[criterion].append(k)
                    off[criterion].append((*cell(k, partition, truths), name))
            true = "/".join(str(len(set(truth))) for truth in truths.values())
            cells = [" ".join(map(str, ks)) for ks in chosen.values()]
            print(f"| {name} | {true} | {' | '.join(cells)} |", flush=True)
    for kind in ("sets", "blobs", "many"):
        each = {c: [f for f in found if _kind(f[2]) == kind] for c, found in off.items()}
        if any(each.values()):
            cells = [f"{np.mean([f[0] for f in of]):.2f}, {np.mean([f[1] for f in of]):+.3f}"
                     for of in each.values()]  # fmt: skip
            print(f"| off (doublings), ACC lost: {kind} | | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
