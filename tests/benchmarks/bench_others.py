"""Captions of the IC|TC authors that the table of `ictc_captions.yaml` does not hold.

Not collected by pytest. CHECKOUT is one of https://github.com/sehyunkwon/ICTC, whose data holds
LLaVA's captions, and what GPT-4 made of them; nothing of its code is run. Run from the project's
root:

    python -m tests.benchmarks.bench_others CHECKOUT OUT --without CAPTIONS
    agentclust batch examples/ictc_others.yaml --root OUT

The first makes a folder a set, with captions.jsonl and labels.csv, and prints GPT-4's score on the
very samples; answers outside its list count as wrong. CAPTIONS are the folders of the other table,
whose samples are left out; of more than --most, so many are drawn.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np

from agentclust import metrics

SOURCES = {
    "cifar10": "cifar10/gpt4/llava",
    "cifar100-20": "cifar100/gpt4/llava",
    "ppmi-instrument7": "ppmi/gpt4/llava/instrument_7_classes",
    "stl10": "stl10/gpt4/llava",
    "ppmi-instrument2": "ppmi/gpt4/llava/instrument_2_classes",
}
LABEL = re.compile(r".*/\d+_(.*)\.\w+")  # the true label, in the name of an image
ANSWER = re.compile(r"Image file-(\S.*?)\s*;?\s*Answer:\s*([^\n]*?)(?=Image file-|\n|$)")
Row = tuple[str, str, str]  # the caption, the true label, GPT-4's answer


def rows_of(checkout: Path, source: str) -> list[Row]:
    """All samples of a set."""

    def shown(file: str) -> str:
        command = ["git", "-C", str(checkout), "show", f"HEAD:data/{source}/{file}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    answers = {match[1]: match[2].strip() for match in ANSWER.finditer(shown("step3_result.txt"))}
    found = []
    for line in shown("step1_result.jsonl").splitlines():
        row = json.loads(line)
        image = row["image_file"]
        found.append((row["text"], LABEL.sub(r"\1", image), answers.get(image, "")))
    return found


def without(rows: list[Row], folder: Path) -> list[Row]:
    """The rows that the folder does not hold, by caption and label."""
    if not folder.is_dir():
        return rows
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        labels = dict(csv.reader(stream))
    texts = map(json.loads, (folder / "captions.jsonl").open(encoding="utf-8"))
    held = Counter((row["caption"], labels[row["id"]]) for row in texts)
    left = []
    for row in rows:
        if held[row[:2]]:
            held[row[:2]] -= 1
        else:
            left.append(row)
    return left


def write(folder: Path, rows: list[Row]) -> None:
    """A folder as `agentclust run` and `evaluate` take it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "captions.jsonl").open("w", encoding="utf-8") as captions,
        (folder / "labels.csv").open("w", encoding="utf-8", newline="") as labels,
    ):
        table = csv.writer(labels, lineterminator="\n")
        table.writerow(["id", "label"])
        for number, (caption, label, _) in enumerate(rows):
            name = f"s{number:05d}"
            captions.write(json.dumps({"id": name, "caption": caption}) + "\n")
            table.writerow([name, label])


def score(rows: list[Row]) -> float:
    """GPT-4's ACC, its answers taken as clusters: as many as there are classes are matched."""
    true, told = (
        np.unique([row[i].lower() for row in rows], return_inverse=True)[1] for i in (1, 2)
    )
    return metrics.external(true, told).acc


def main() -> None:
    """Write the folders, and print a line a set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--without", type=Path, default=Path("nowhere"), metavar="CAPTIONS")
    parser.add_argument("--most", type=int, default=2000, help="samples of a set")
    args = parser.parse_args()
    order = random.Random(1)
    for name, source in SOURCES.items():
        rows = without(rows_of(args.checkout, source), args.without / name)
        if len(rows) > args.most:
            order.shuffle(rows)
            rows = rows[: args.most]
        write(args.out / name, rows)
        print(f"{name}: {len(rows)} captions, GPT-4 {score(rows):.3f}", flush=True)


if __name__ == "__main__":
    main()
