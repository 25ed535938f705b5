"""What a run costs as the set grows: calls, tokens, seconds, and ACC where labels are there.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_growth.py --llm MODEL FOLDER:CRITERION:K [SIZE ...]

The folder holds captions.jsonl (id, caption) and labels.csv (id, then the true label). A size above
the number of captions repeats them with noise: words left out, swapped and doubled, so that no two
captions are equal. Every run pays for its own answers. The labels are read after each run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import agentclust
from agentclust import metrics
from agentclust.datasets.labels import read_labels
from agentclust.run.record import read_usage
from agentclust.types import Usage

NOISE = 0.1  # share of a repeated caption's words that is changed


def noisy(caption: str, random: np.random.Generator) -> str:
    """The caption with some words left out, doubled, or swapped with the next."""
    words = caption.split()
    for place in np.flatnonzero(random.random(len(words)) < NOISE)[::-1]:
        match random.integers(3):
            case 0:
                words.pop(place)
            case 1:
                words.insert(place, words[place])
            case _:
                words[place : place + 2] = words[place : place + 2][::-1]
    return " ".join(words)


def grown(rows: list[dict[str, str]], size: int, seed: int) -> list[dict[str, str]]:
    """`size` rows: a sample of those given, or all of them and noisy repetitions.

    An id is that of the row it comes from, a slash, and a number.
    """
    random = np.random.default_rng(seed)
    chosen = [rows[i] for i in random.permutation(len(rows))]
    found = []
    for number in range(size):
        row = chosen[number % len(chosen)]
        text = row["caption"] if number < len(chosen) else noisy(row["caption"], random)
        found.append({"id": f"{row['id']}/{number // len(chosen)}", "caption": text})
    return found


def measured(folder: Path, criterion: str, k: int, size: int, llm: str) -> None:
    """Run on `size` captions and print one line of the table."""
    rows = [json.loads(line) for line in (folder / "captions.jsonl").open(encoding="utf-8")]
    with tempfile.TemporaryDirectory() as scratch:
        manifest = Path(scratch, "captions.jsonl")
        lines = [json.dumps(row) for row in grown(rows, size, seed=0)]
        manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
        began = time.monotonic()
        result = agentclust.cluster(
            manifest,
            criterion=criterion,
            n_clusters=k,
            method="ictc",
            llm=llm,
            embedder="minilm",
            cache=False,
            out=Path(scratch, "run"),
        )
        seconds = time.monotonic() - began
        usage = sum(read_usage(result.run).values(), Usage())
        truth = read_labels(folder / "labels.csv", [row["id"] for row in rows])
        true = [truth[row["id"].rpartition("/")[0]] for row in result.table()]
        acc = metrics.external(np.asarray(true), np.asarray(result.labels_)).acc
    tokens = usage.prompt_tokens + usage.completion_tokens
    print(
        f"| {size:,} | {usage.calls} | {tokens:,} | {tokens / size:.1f} | {seconds:.0f} | "
        f"{size / seconds:.1f} | {acc:.3f} |",
        flush=True,
    )


def main() -> None:
    """Print a table, a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llm", required=True)
    parser.add_argument("set", help="FOLDER:CRITERION:K")
    parser.add_argument("sizes", nargs="*", type=int, default=[500, 1000, 2000, 10000])
    args = parser.parse_args()
    folder, criterion, k = args.set.rsplit(":", 2)
    print("| captions | calls | tokens | tokens a caption | seconds | captions/s | ACC |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for size in args.sizes:
        measured(Path(folder), criterion, int(k), size, args.llm)


if __name__ == "__main__":
    main()
