"""Ways to group samples that range from right to useless, for measuring scores of them."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.cluster import KMeans

from agentclust import prompts, wording
from agentclust.cache import Answers, home
from agentclust.config import ModelConfig
from agentclust.embedders import embed_cached, load_embedder
from agentclust.ictc import naming
from agentclust.models import load_model
from agentclust.models.asking import Asker
from agentclust.types import Choice

FOREIGN = [*calendar.day_name, *calendar.month_name[1:]]  # names of no picture


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
