"""How well each internal score predicts ACC, over runs of deliberately varied quality.

Not collected by pytest. Run from the project's root:

    python -m tests.benchmarks.bench_scores --llm MODEL [--samples 300] SET [SET ...]

A SET is FOLDER:CRITERION:K; the folder holds captions.jsonl (id, caption) and labels.csv (id, then
the true label). For each set the samples are labelled once, then grouped in some twenty ways that
range from right to useless: other numbers of names, random, missing, joined and foreign names,
spoilt answers, spoilt raw labels, k-means. The true labels are read at the very end, for ACC.
It prints Spearman's rank correlation of each score with ACC, and how often the best of a few runs
by `quality` is within two points of the best there is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

import agentclust
from agentclust import metrics, wording
from agentclust.datasets.labels import read_labels
from agentclust.metrics import scores
from agentclust.run.record import read_state
from tests.benchmarks.ways import Grouping, Judge, Samples, counted, groupings

NEAR = 0.02  # of the best ACC: as good as the best
SHOWN = ("quality", "quality_words", "agreement", "echo", "information", "echo_words", "largest",
         "balance", "confused", "confidence", "unsure", "unassigned")  # fmt: skip
LESS_IS_MORE = ("largest", "confused", "unsure", "unassigned")


def prepare(spec: str, llm: str, most: int, folder: Path) -> Samples:
    """Caption and label step of a set, by a run of the package."""
    source, criterion, k = spec.rsplit(":", 2)
    text = (Path(source) / "captions.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()][:most]
    name = f"{Path(source).name} {criterion}"
    manifest = folder / f"{name}.jsonl"
    given = [json.dumps({"id": row["id"], "caption": row["caption"]}) for row in rows]
    manifest.write_text("\n".join(given), encoding="utf-8")
    settings = {"criterion": criterion, "n_clusters": int(k), "llm": llm}
    settings |= {"method": "ictc", "exemplars": "all", "grouping": "names"}
    run = agentclust.cluster(str(manifest), out=folder / name, quiet=False, **settings).run
    attempt = run / read_state(run)["attempt"]
    lines = (attempt / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    raw = {row["id"]: row["label"] for row in map(json.loads, lines)}
    labels = ["" if wording.is_unknown(raw.get(r["id"], "")) else raw[r["id"]] for r in rows]
    merged = wording.merge(counted(labels)) | {"": ""}
    names = json.loads((attempt / "clusters.json").read_text(encoding="utf-8"))["names"]
    ids, captions = [row["id"] for row in rows], [row["caption"] for row in rows]
    return Samples(
        name, criterion, int(k), ids, captions, [merged[label] for label in labels], names
    )


def judged(samples: Samples, one: Grouping, judge: Judge) -> dict[str, float]:
    """Every score of one grouping."""
    captions, names = judge.vectors(samples.captions), judge.vectors(one.names)
    words = judge.words.embed([*samples.captions, *one.names])
    size, k = len(samples.captions), len(one.names)
    joined = np.hstack([captions, judge.vectors(one.raw_labels)])
    found = metrics.internal(one.clusters, one.confidences, k)
    found |= {
        "information": scores.information(one.raw_labels, one.clusters, one.confidences, k),
        "agreement": scores.agreement(one.clusters, joined, samples.k),
        "echo": scores.echo(one.clusters, captions, names),
        "echo_words": scores.echo(one.clusters, words[:size], words[size:]),
    }
    found["quality"] = scores.quality(found)
    known = {"information": found["information"], "echo": found["echo_words"]}
    found["quality_words"] = scores.quality(known)
    if one.table is not None:
        weights = np.array(list(counted(one.raw_labels).values()))
        found["confused"] = scores.confused(one.table, weights)[0]
    return found


def picks(runs: Sequence[dict], of: int, times: int = 1000) -> tuple[float, float]:
    """How often the best of a few random runs by quality is as good as the best, and the loss."""
    rng = np.random.default_rng(0)
    acc, quality = (np.array([run[score] for run in runs]) for score in ("acc", "quality"))
    few = np.array([rng.choice(len(runs), of, replace=False) for _ in range(times)])
    kept = few[np.arange(times), quality[few].argmax(axis=1)]
    lost = acc[few].max(axis=1) - acc[kept]
    return float((lost <= NEAR).mean()), float(lost.mean())


def correlation(runs: Sequence[dict], score: str) -> float:
    """Of the score, where less is more of its negative, with ACC; 0 where it never changes."""
    sign = -1 if score in LESS_IS_MORE else 1
    pairs = [(sign * run[score], run["acc"]) for run in runs if score in run]
    values, accs = zip(*pairs, strict=True)
    return float(spearmanr(values, accs).statistic) if len(set(values)) > 1 else 0.0


def report(runs: Sequence[dict]) -> Iterator[str]:
    """The tables, as Markdown."""
    sets: dict[str, list[dict]] = {}
    for run in runs:
        sets.setdefault(run["set"], []).append(run)
    yield f"{len(runs)} runs; Spearman's rank correlation with ACC.\n"
    heads = [*(f"{name} ({len(own)})" for name, own in sets.items()), "mean", "pooled"]
    yield f"| score | {' | '.join(heads)} |"
    yield "|---" * (len(sets) + 3) + "|"
    for score in SHOWN:
        each = [correlation(own, score) for own in sets.values()]
        cells = [f"{value:.2f}" for value in (*each, np.mean(each), correlation(runs, score))]
        less = "less " if score in LESS_IS_MORE else ""
        yield f"| {less}{score} | {' | '.join(cells)} |"
    yield "\nThe best of a few runs by quality: how often within 2 points of the best; mean loss.\n"
    yield "| runs | " + " | ".join(sets) + " | mean |\n" + "|---" * (len(sets) + 2) + "|"
    for few in (3, 4):
        found = np.array([picks(own, few) for own in sets.values()])
        cells = [f"{hit:.2f}, {loss:.3f}" for hit, loss in [*found, found.mean(axis=0)]]
        yield f"| best of {few} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="FOLDER:CRITERION:K")
    parser.add_argument("--llm", required=True)
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--samples", type=int, default=300, help="of each set, the first so many")
    parser.add_argument("--out", type=Path, help="where every run's scores go, as JSON Lines")
    options = parser.parse_args()
    judge = Judge(options.llm, options.embedder)
    runs: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for spec in options.sets:
            samples = prepare(spec, options.llm, options.samples, Path(folder))
            found = [(one, judged(samples, one, judge)) for one in groupings(samples, judge)]
            truth = read_labels(Path(spec.rsplit(":", 2)[0]) / "labels.csv", samples.ids)
            for one, known in found:
                classes = [truth[sample_id] for sample_id in samples.ids]
                acc = metrics.external(classes, one.clusters, None, len(one.names)).acc
                runs.append({"set": samples.name, "how": one.how, "acc": acc} | known)
    if options.out:
        options.out.write_text("".join(json.dumps(run) + "\n" for run in runs), encoding="utf-8")
    print("\n".join(report(runs)))


if __name__ == "__main__":
    main()
