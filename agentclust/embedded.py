"""Clustering embeddings: no language model groups the samples, one may name the groups afterwards.

It is a method of its own (``--method kmeans``) and what the agent falls back to.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.neighbors import KNeighborsClassifier

from agentclust import ictc
from agentclust.clusterers import load_clusterer, needs_a_number
from agentclust.clusterers.centred import Centred, means_of
from agentclust.clusterers.counting import Curve, looked_at
from agentclust.clusterers.kmeans import KMeans
from agentclust.clusterers.saved import can_be_saved, load, save
from agentclust.embedders import Vectors, default_embedder, tuned
from agentclust.errors import AgentclustError, RunError
from agentclust.files.blocks import BLOCK, blocks, taken
from agentclust.ictc import speaking
from agentclust.ictc.embedding import WORDS, Embedded, by_criterion, embed, of_images, of_texts
from agentclust.ictc.likely import highest
from agentclust.types import Sample
from agentclust.work import Work

NEIGHBOURS = 10
FITTED = "clusterer.npz"  # of an attempt: what `assign` places new images by
CHECKPOINTS = ("checkpoint.npz", "tuning.npz")  # of an attempt that is being grouped
COUNTED = "k_curve.json"  # of an attempt: the numbers of clusters that were tried
TEMPERATURE = 0.05  # of the cosines with means, as of those with the centres of k-means
FOCUSED = 0.12  # the same where captions are focused on a criterion: cosines then differ more
AT_ONCE = 1 << 22  # probabilities that are in memory at a time


def cluster(work: Work, clusterer: str, found: Embedded) -> None:
    """Group the samples of the current attempt by their embeddings, and name the groups.

    Args:
        work: The run; its current attempt gets clusters.json and assignments.jsonl.
        clusterer: Which one, as `load_clusterer` knows it.
        found: What to cluster.

    Raises:
        InputError: The clusterer cannot be used, or the vectors tell nothing apart.
        RunError: The clusterer fails on the vectors.
    """
    vectors, plain = focused(work, found), found
    model = _fitted(work, clusterer, vectors, vectors is not found.vectors)
    if work.run.config.finetune:
        # not for other clusterings: PyTorch takes its time
        from agentclust.tuning import tune

        found = tune(work, model, plain)
        vectors = found.vectors
    for doubt in getattr(model, "doubts_", ()):
        work.run.note(doubt if found is plain else f"before fine-tuning: {doubt}")
    if can_be_saved(model) and vectors is found.vectors:
        _keep(work, clusterer, model, found.by)
    labels = np.asarray(model.labels_, dtype=np.int64)
    confidences = np.asarray(getattr(model, "probabilities_", (labels >= 0).astype(float)))
    names, named_by = speaking.names(work, found.samples, found.vectors, labels)
    made = f"{plain.by} embeddings of {WORDS[found.of]}{'' if found is plain else ', fine-tuned'}"
    source = f"{clusterer} on {made}, named by {named_by}"
    known = {"names": names, "source": source, "labels": {}, "candidates": [], "of": found.of}
    if not hasattr(model, "predict_proba"):
        known["order"] = f"cosines with the means of the clusters, which {clusterer} does not use"
    work.run.write("clusters.json", known)
    likely = _likely(model, vectors, labels)
    rows = work.run.step_rows("assignments")
    places = {s.id: index for index, s in enumerate(found.samples)}
    with work.reporter.step("assign", len(work.samples)) as advance:
        for sample in work.samples:
            place = places.get(sample.id)
            group = -1 if place is None else int(labels[place])
            reason = "nothing of it could be embedded" if place is None else "lies in no group"
            confidence = 0.0 if group < 0 else float(confidences[place])
            reason = reason if group < 0 else ""
            pairs = () if place is None or group < 0 else _pairs(likely, place)
            rows.append(
                ictc.assignment(sample.id, group, names, confidence, "embedding", reason, pairs)
            )
            advance()
    for name in CHECKPOINTS:
        (work.run.attempt / name).unlink(missing_ok=True)


Likely = tuple[NDArray[np.int32], NDArray[np.float32]]  # clusters of each row, their shares


def _likely(model: Any, vectors: Vectors, labels: NDArray[np.int64]) -> Likely:
    """The likeliest clusters of each row, a few bytes a row.

    They are by the clusterer's own probabilities, or, where it has none, by the cosines with the
    means of the clusters.
    """
    shares = getattr(model, "predict_proba", None)
    n_clusters = int(labels.max(initial=-1)) + 1
    if shares is None and n_clusters:
        means = means_of(vectors, labels, np.arange(n_clusters))

        def shares(rows: Vectors) -> NDArray[np.floating]:
            return np.asarray(softmax(rows @ means.T / TEMPERATURE, axis=1))

    if shares is None:
        return np.empty((len(labels), 0), np.int32), np.empty((len(labels), 0), np.float32)
    size = max(1, AT_ONCE // max(n_clusters, 1))
    parts = [highest(shares(rows)) for _, rows in blocks(vectors, min(size, BLOCK))]
    clusters, found = (np.concatenate(each) for each in zip(*parts, strict=True))
    return clusters, found


def _pairs(likely: Likely, row: int) -> Iterator[tuple[int, float]]:
    clusters, shares = likely
    return zip(clusters[row].tolist(), shares[row].tolist(), strict=True)


def _fitted(work: Work, name: str, vectors: Vectors, focused: bool) -> Any:
    """The clusterer, fitted; a run that was killed while it trained goes on there."""
    checkpoint = work.run.attempt / CHECKPOINTS[0]
    config = work.run.config
    settings = config.clusterer_settings
    wanted, curve = work.run.n_clusters, None
    if wanted == "auto" and needs_a_number(name):
        wanted, curve = _as_many_as_kmeans(vectors, config.seed)
    with work.reporter.counted("train") as progress:
        model = load_clusterer(name, wanted, config.seed, settings,
                               checkpoint=checkpoint, progress=progress)  # fmt: skip
        if focused and isinstance(model, Centred) and "temperature" not in settings:
            model.set_params(temperature=FOCUSED)
        try:
            with warnings.catch_warnings():
                # what a library will do in its next version helps nobody here
                warnings.simplefilter("ignore", FutureWarning)
                model.fit(vectors)
        except AgentclustError:
            raise
        except Exception as error:  # the code of others raises anything
            why = f"fails on these vectors ({type(error).__name__}: {error})"
            raise RunError(name, why, "try other settings, or another --method") from error
    curve = curve or getattr(model, "curve_", None)
    if curve is not None:
        work.run.write(COUNTED, curve.as_json())
    return model


def _keep(work: Work, name: str, model: Any, by: str) -> None:
    """Keep the clusterer beside its result, unless its vectors mean nothing to new samples."""
    embedder = work.engine.embedder(by)
    if not embedder.fitted:
        save(model, name, work.run.attempt / FITTED, by=by, identity=embedder.identity)


def _as_many_as_kmeans(vectors: Vectors, seed: int) -> tuple[int, Curve | None]:
    """How many clusters k-means finds, for a clusterer that cannot tell by itself."""
    some = np.asarray(taken(vectors, looked_at(len(vectors), seed)), dtype=np.float32)
    model = KMeans(random_state=seed).fit(some)
    return model.n_clusters_, model.curve_ and replace(model.curve_, n_rows=len(vectors))


def focused(work: Work, found: Embedded) -> Vectors:
    """The vectors, those of captions focused on the criterion by their words.

    That takes an embedder that knows what words mean, and the setting `focus`.
    """
    if found.of == "image" or not work.run.config.focus or work.engine.embedder(found.by).fitted:
        return found.vectors
    return by_criterion(work, found.samples, found.vectors)


def fill(work: Work, found: Embedded, names: Sequence[str]) -> tuple[int, str]:
    """Assign the samples without an assignment by the nearest of those that have one.

    Args:
        work: The run; its current attempt gets the rows that are missing.
        found: The embeddings.
        names: The cluster names.

    Returns:
        How many samples were placed, and by what, in words.
    """
    rows = work.run.step_rows("assignments").known
    places = {s.id: index for index, s in enumerate(found.samples)}
    known = [i for i, row in rows.items() if row["cluster"] >= 0 and i in places]
    groups = [rows[i]["cluster"] for i in known]
    todo = [s for s in work.samples if s.id not in rows]
    there = [s for s in todo if s.id in places]
    _by_neighbours(
        work,
        todo,
        names,
        found.vectors[[places[i] for i in known]],
        groups,
        {s.id: found.vectors[places[s.id]] for s in there},
    )
    return len(there), f"their nearest neighbours among {found.by} embeddings of {WORDS[found.of]}"


def place(
    work: Work,
    before: Sequence[Sample],
    captions: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, Mapping[str, Any]],
    fitted: Path,
) -> None:
    """Assign new samples as another run's embeddings were: by its clusterer, or their neighbours.

    Args:
        work: The run of the new samples; its current attempt gets the rows.
        before: The samples of the other run.
        captions: Its captions by sample id.
        known: Its assignments by sample id.
        fitted: The file of its clusterer, if it has one: that then decides.

    Raises:
        InputError: The file of the clusterer is damaged.
        RunError: One of the two has no captions, or no images, where the other has them.
    """
    names: list[str] = work.run.read("clusters.json")["names"]
    if fitted.exists() and _predicted(work, fitted, names):
        return
    old = [s for s in before if known.get(s.id, {"cluster": -1})["cluster"] >= 0]
    own = work.run.step_rows("captions").known
    if all(s.id in captions for s in old) and all(s.id in own for s in work.samples):
        texts = [captions[s.id]["caption"] for s in old]
        texts += [own[s.id]["caption"] for s in work.samples]
        vectors = of_texts(work, texts)
    elif all(s.file for s in (*old, *work.samples)):
        name = default_embedder("image")
        # two stores: that of the run is there already, where it clustered images
        vectors = np.vstack([of_images(work, name, old), of_images(work, name, work.samples)])
    else:
        why = "the samples of the run and the new ones have neither captions nor images in common"
        raise RunError("new images", why, "start a run of their own")
    new = {s.id: vectors[len(old) + index] for index, s in enumerate(work.samples)}
    groups = [int(known[s.id]["cluster"]) for s in old]
    _by_neighbours(work, work.samples, names, vectors[: len(old)], groups, new)


def _predicted(work: Work, fitted: Path, names: Sequence[str]) -> bool:
    """Assign all samples by a fitted clusterer; False where its vectors cannot be made here."""
    model, about = load(fitted)
    network = fitted.with_name(tuned.FILE)
    name = tuned.named(network) if network.exists() else about["by"]  # a run may be moved
    embedder = work.engine.embedder(name)
    captions = work.run.step_rows("captions").known
    there = [s.file if embedder.of == "image" else s.id in captions for s in work.samples]
    if embedder.identity != about["identity"] or not all(there):
        return False
    found = embed(work, embedder.of, name)
    shares = {
        s.id: p for s, p in zip(found.samples, model.predict_proba(found.vectors), strict=True)
    }
    rows = work.run.step_rows("assignments")
    for sample in work.samples:
        own = shares.get(sample.id)
        if own is None or not own.any():
            reason = "nothing of it could be embedded"
            rows.append(ictc.assignment(sample.id, -1, names, 0.0, "", reason))
            continue
        best = int(np.argmax(own))
        pairs = _pairs(highest(own[None]), 0)
        confidence = float(own[best])
        rows.append(ictc.assignment(sample.id, best, names, confidence, "embedding", likely=pairs))
    return True


def _by_neighbours(
    work: Work,
    samples: Sequence[Sample],
    names: Sequence[str],
    vectors: Vectors,
    groups: Sequence[int],
    new: Mapping[str, Vectors],
) -> None:
    """Append the rows of `samples`, each in the group that its nearest neighbours have."""
    rows = work.run.step_rows("assignments")
    model = KNeighborsClassifier(min(NEIGHBOURS, len(groups)), weights="distance")
    model.fit(vectors, groups)
    for sample in samples:
        if sample.id not in new:
            reason = "nobody was asked about it, and nothing of it could be embedded"
            rows.append(ictc.assignment(sample.id, -1, names, 0.0, "", reason))
            continue
        shares = model.predict_proba(new[sample.id][None])[0]
        best = int(np.argmax(shares))
        group, confidence = int(model.classes_[best]), float(shares[best])
        pairs = zip(model.classes_.tolist(), shares.tolist(), strict=True)
        rows.append(ictc.assignment(sample.id, group, names, confidence, "embedding", likely=pairs))
