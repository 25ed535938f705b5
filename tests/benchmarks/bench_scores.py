"""How well each internal score predicts ACC, over runs of deliberately varied quality.

Not collected by pytest. Run from the project's root:

    python tests/benchmarks/bench_scores.py --llm MODEL [--samples 300] SET [SET ...]

A SET is FOLDER:CRITERION:K; the folder holds captions.jsonl (id, caption) and labels.csv (id, then
the true label). For each set the samples are labelled once, then grouped in some twenty ways that
range from right to useless: other numbers of names, random, missing, joined and foreign names,
spoilt answers, spoilt raw labels, k-means. The true labels are read at the very end, for ACC.
It prints Spearman's rank correlation of each score with ACC, and how often the best of a few runs
by `quality` is within two points of the best there is.
"""

from __future__ import annotations

import argparse
import calendar
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import KMeans

import agentclust
from agentclust import metrics, prompts, wording
from agentclust.cache import Answers, home
from agentclust.config import ModelConfig
from agentclust.datasets.labels import read_labels
from agentclust.embedders import embed_cached, load_embedder
from agentclust.ictc import naming
from agentclust.metrics import scores
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.run.record import read_state
from agentclust.types import Choice

FOREIGN = [*calendar.day_name, *calendar.month_name[1:]]  # names of no picture
NEAR = 0.02  # of the best ACC: as good as the best
SHOWN = ("quality", "quality_words", "agreement", "echo", "information", "echo_words", "largest",
         "balance", "confused", "confidence", "unsure", "unassigned")  # fmt: skip
LESS_IS_MORE = ("largest", "confused", "unsure", "unassigned")


@dataclass
class Samples:
    """One set: its captions, and what the label and name steps made of them."""

    name: str
    criterion: str
    k: int
    ids: list[str]
    captions: list[str]
    raw_labels: list[str]  # "" where it is unknown
    names: list[str]


@dataclass
class Grouping:
    """One way to group the samples; `table` has a row for each of `counted(raw_labels)`."""

    how: str
    names: list[str]
    raw_labels: list[str]
    clusters: np.ndarray
    confidences: np.ndarray
    table: np.ndarray | None = None


def counted(raw_labels: Sequence[str]) -> dict[str, int]:
    """How many samples have each known raw label."""
    return wording.count(label for label in raw_labels if label)


class Judge:
    """Model, embedder and answer store, shared by all sets."""

    def __init__(self, llm: str, embedder: str) -> None:
        config = ModelConfig(model=llm)
        self.answers = Answers(home() / "answers.sqlite")
        self.asker = Asker(load_model(config), config, self.answers)
        self.embedder, self.words = load_embedder(embedder), load_embedder("tfidf")

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows; zero for an empty text."""
        known = embed_cached(self.embedder, texts, texts, self.answers)
        return known * np.array([[bool(text)] for text in texts])

    def group(self, samples: Samples, how: str, names: Sequence[str]) -> Grouping:
        """Each distinct raw label goes to the name that the model finds likeliest."""
        names = list(dict.fromkeys(names))
        known = list(counted(samples.raw_labels))
        table = np.array([[float(label == name) for name in names] + [0.0] for label in known])
        asked = [row for row, label in enumerate(known) if label not in names]
        render = partial(prompts.load("assign").render, criterion=samples.criterion, caption="")
        requests = [render(names=names, label=known[row]) for row in asked]
        for index, choice in self.asker.choose(requests, [*names, naming.NONE]):
            if isinstance(choice, Choice) and choice.probabilities:
                table[asked[index]] = choice.probabilities
        return Grouping(how, names, samples.raw_labels, *_settle(table, samples.raw_labels), table)


def _settle(table: np.ndarray, raw_labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cluster and confidence of each sample by the row of its raw label."""
    clusters, confidences = np.full(len(raw_labels), -1), np.zeros(len(raw_labels))
    row_of = dict(zip(counted(raw_labels), table, strict=True))
    for index, label in enumerate(raw_labels):
        *fits, none = row_of.get(label, np.zeros(2))
        if max(fits) > 0 and none <= naming.UNFIT * max(fits):
            clusters[index], confidences[index] = int(np.argmax(fits)), max(fits)
    return clusters, confidences


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


def groupings(samples: Samples, judge: Judge) -> Iterator[Grouping]:
    """The samples grouped in ways that range from right to useless."""
    k, names = samples.k, samples.names
    rng = np.random.default_rng(0)
    frequent = list(counted(samples.raw_labels))
    usual = frequent[: max(3 * k, 6)]
    half = max(2, k // 2)
    first = judge.group(samples, "default", names)
    yield first
    for how, words in {
        "frequent labels": frequent[:k],
        "half K": frequent[:half],
        "one and a half K": frequent[: k * 3 // 2],
        "double K": frequent[: 2 * k],
        "random labels 1": rng.permutation(usual)[:k].tolist(),
        "random labels 2": rng.permutation(usual)[:k].tolist(),
        "one name dropped": names[1:],
        "three names dropped": names[3:],
        "two names joined": [*names[2:], " or ".join(names[:2])],
        "half foreign": [*names[:half], *FOREIGN[: k - half]],
        "foreign": FOREIGN[:k],
    }.items():
        if len(set(words)) >= 2:
            yield judge.group(samples, how, words)
    for share in (0.15, 0.3, 0.6):
        yield _spoilt_answers(first, share, rng)
        yield _spoilt_labels(first, share, rng)
    captions = judge.vectors(samples.captions)
    labels = judge.vectors(samples.raw_labels)
    for how, vectors, size in (
        ("k-means of captions", captions, k),
        ("k-means of labels", labels, k),
        ("k-means of both", np.hstack([captions, labels]), k),
        ("k-means, half K", captions, half),
    ):
        yield _by_k_means(samples, how, vectors, size)


def _spoilt_answers(first: Grouping, share: float, rng: np.random.Generator) -> Grouping:
    """As if the model had sent this share of the raw labels anywhere."""
    assert first.table is not None
    table = first.table.copy()
    for row in np.flatnonzero(rng.random(len(table)) < share):
        table[row, :-1] = rng.permutation(table[row, :-1])
    clusters, confidences = _settle(table, first.raw_labels)
    how = f"answers spoilt {share}"
    return replace(first, how=how, clusters=clusters, confidences=confidences, table=table)


def _spoilt_labels(first: Grouping, share: float, rng: np.random.Generator) -> Grouping:
    """As if the label step had given this share of the samples another one's label."""
    order = np.arange(len(first.clusters))
    chosen = np.flatnonzero(rng.random(len(order)) < share)
    order[chosen] = rng.permutation(chosen)
    return replace(
        first,
        how=f"labels spoilt {share}",
        raw_labels=[first.raw_labels[i] for i in order],
        clusters=first.clusters[order],
        confidences=first.confidences[order],
    )


def _by_k_means(samples: Samples, how: str, vectors: np.ndarray, k: int) -> Grouping:
    """Groups that no model has seen, each named by its most frequent raw label that is free."""
    clusters = KMeans(k, n_init=1, random_state=1).fit_predict(vectors)
    names: list[str] = []
    for group in range(k):
        own = [samples.raw_labels[i] for i in np.flatnonzero(clusters == group)]
        free = [label for label in counted(own) if label not in names]
        names.append(free[0] if free else f"group {group}")
    return Grouping(how, names, samples.raw_labels, clusters, np.ones(len(clusters)))


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
