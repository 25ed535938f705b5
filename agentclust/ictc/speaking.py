"""Names for groups found without any: by the model, or by the words that tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from agentclust import wording
from agentclust.captioners import load_captioner
from agentclust.embedders import Vectors
from agentclust.errors import AgentclustError, DiskError
from agentclust.types import Reply, Sample
from agentclust.work import Work

CENTRAL = 3  # captions beside the labels of a group
EXEMPLARS = 8  # samples that speak for a group: those nearest to its centre
KEYWORDS = 5
WORD = r"(?u)\b[^\W\d_]{3,}\b"
EVERYWHERE = 0.9  # share of the texts above which a word is in nearly all of them
MAJORITY = 0.5  # share of a group that has one label, which then is its name
NAME_TOKENS = 12
SPOKEN = 200  # groups at most whose images are captioned for their names


def names(
    work: Work, samples: Sequence[Sample], vectors: Vectors, labels: NDArray[np.int64]
) -> tuple[list[str], str]:
    """A distinct name for each group, and what gave the names.

    Args:
        work: The run.
        samples: What was clustered, shape (n,).
        vectors: Unit rows, shape (n, d).
        labels: The group of each sample, -1 for none, shape (n,).
    """
    count = int(labels.max(initial=-1)) + 1
    nearest = [_exemplars(vectors, np.flatnonzero(labels == g)) for g in range(count)]
    told = count <= SPOKEN  # captioning the images of a thousand groups takes an hour
    texts = [[_text(work, samples[int(i)], told) for i in members] for members in nearest]
    every = [
        [_caption(work, samples[int(i)]) for i in np.flatnonzero(labels == g)] for g in range(count)
    ]
    words = keywords(
        [known if any(known) else few for known, few in zip(every, texts, strict=True)]
    )
    named_by = "keywords" if any(words) else "number"
    chosen = ["" for _ in range(count)]
    if any(words):
        try:
            chosen = _asked(work, words, texts)
            named_by = "the language model"
        except DiskError:
            raise
        except AgentclustError as error:
            work.reporter.say(f"the groups are named by keywords: {error}")
    return _distinct(chosen, words), named_by


def names_by_labels(
    work: Work, samples: Sequence[Sample], vectors: Vectors, labels: NDArray[np.int64]
) -> list[str]:
    """A distinct name for each group of samples whose raw labels are known.

    The label of most of a group is its name; for other groups the model is asked, with the
    frequent labels and the captions of the most central members.

    Args:
        work: The run, its labels known.
        samples: What was grouped, shape (n,).
        vectors: Unit rows, shape (n, d).
        labels: The group of each sample, shape (n,).
    """
    rows = work.run.step_rows("labels").known
    texts = [rows[s.id]["label"] if s.id in rows else "" for s in samples]
    members = [np.flatnonzero(labels == group) for group in range(int(labels.max()) + 1)]
    inside = [
        wording.count(texts[i] for i in own if not wording.is_unknown(texts[i])) for own in members
    ]
    holds: dict[str, int] = {}  # the group with most of a label that most of the group has
    for group in sorted(range(len(members)), key=lambda group: len(members[group])):
        top, most = next(iter(inside[group].items()), ("", 0))
        if most > MAJORITY * len(members[group]):
            holds[top] = group
    words = [list(counts)[:KEYWORDS] for counts in inside]
    asked = [group for group in range(len(members)) if group not in holds.values()]
    central = [
        [_caption(work, samples[i]) for i in _exemplars(vectors, members[group])[:CENTRAL]]
        for group in asked
    ]
    named = dict(zip(holds.values(), holds, strict=True))
    if asked:
        found = _asked(work, [words[group] for group in asked], central)
        named |= dict(zip(asked, found, strict=True))
    return _distinct([named[group] for group in range(len(members))], words)


def _caption(work: Work, sample: Sample) -> str:
    row = work.run.step_rows("captions").known.get(sample.id)
    return str(row["caption"]) if row else ""


def _text(work: Work, sample: Sample, told: bool) -> str:
    """The caption of a sample, or what the built-in captioner makes of its image where `told`."""
    caption = _caption(work, sample)
    if caption or sample.file is None or not told:
        return caption
    try:
        captioner = load_captioner("builtin")
        return captioner.caption(sample.file) if captioner else ""
    except AgentclustError:
        return ""


def _exemplars(vectors: Vectors, members: NDArray[np.int64]) -> NDArray[np.int64]:
    """The members nearest to the centre of their group."""
    if not len(members):
        return members
    rows = np.asarray(vectors[members], dtype=np.float32)
    nearness = rows @ rows.mean(axis=0)
    return members[np.argsort(-nearness, kind="stable")[:EXEMPLARS]]


def keywords(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """The words that tell each group of texts from the others, most telling first.

    Class-based TF-IDF (Grootendorst, "BERTopic", arXiv:2203.05794, equation 2): the frequency of a
    word in the group times log(1 + mean words of a group / frequency of the word in all). Words
    that nearly every text has tell nothing, such as "picture" in captions of one captioner.

    Args:
        groups: The texts of each group.

    Returns:
        At most `KEYWORDS` words a group; none for a group without words.
    """
    every = [text for texts in groups for text in texts]
    for most in (EVERYWHERE, 1.0):  # all words, where no others are left
        vectorizer = CountVectorizer(stop_words="english", token_pattern=WORD, max_df=most)
        with suppress(ValueError):  # not one word
            vectorizer.fit(every)
            break
    else:
        return [[] for _ in groups]
    counts = vectorizer.transform([" ".join(texts) for texts in groups]).toarray()
    words = vectorizer.get_feature_names_out()
    weights = counts * np.log(1 + counts.sum() / len(groups) / counts.sum(axis=0))
    best = np.argsort(-weights, axis=1, kind="stable")[:, :KEYWORDS]
    return [[str(words[i]) for i in row if weights[g, i] > 0] for g, row in enumerate(best)]


def _asked(work: Work, words: Sequence[Sequence[str]], texts: Sequence[Sequence[str]]) -> list[str]:
    """The model's name for each group, empty where it has none.

    Raises:
        ModelError, BudgetSpent: There is no model, or nothing left to ask it with.
    """
    template = work.run.template("group-name")
    criterion = work.run.criterion
    requests = [
        template.render(criterion=criterion, words=own, captions=[t for t in few if t])
        for own, few in zip(words, texts, strict=True)
    ]
    names = ["" for _ in requests]
    with work.paying("name"):
        for index, reply in work.llm.complete(requests, NAME_TOKENS, stop=["\n"]):
            if isinstance(reply, Reply):
                names[index] = wording.normalise(reply.text)
    return names


def _distinct(names: Sequence[str], words: Sequence[Sequence[str]]) -> list[str]:
    """Each name once: one that is missing or taken gets its keywords, or a number."""
    taken: list[str] = []
    often = Counter(names)
    for number, (name, own) in enumerate(zip(names, words, strict=True), 1):
        wanted = [name] if name and often[name] == 1 else []
        wanted += [f"{name}, {word}" if name else word for word in own if word not in name]
        wanted += [", ".join(own[:2]), f"group {number}"]
        taken.append(next(text for text in wanted if text and text not in taken))
    return taken
