"""A network and a head learn together from the images that they are sure of.

It knows embedders' networks and heads, and no runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from agentclust.clusterers.scan import SCAN
from agentclust.clusterers.selflabel import LOST, PLATEAU, lost
from agentclust.clusterers.trained import WEIGHT_DECAY
from agentclust.clusterers.training import SAVED_EVERY, Weights
from agentclust.embedders.trainable import Blocks, Network, open_last
from agentclust.files.arrays import Checkpoint
from agentclust.files.blocks import side_by_side
from agentclust.files.images import read_image
from agentclust.tuning.augmenting import strong

BATCH = 32  # images of a step
EDGE = 512  # longest side that is decoded, pixels
KEPT = "network and clusters of before are kept"

View = Callable[[Image.Image, int], Image.Image]  # of an image, and its place
Advance = Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """How to learn.

    Attributes:
        epochs: At most so many passes over the images.
        blocks: How many of the network's last blocks learn, or all.
        threshold: Probability from which an image is a lesson.
        seed: Of the order of the images and of how they are changed.
        learning_rate: Of Adam; by default the paper's 1e-4 for 1,000 images a step, scaled by
            the square root of how many fewer there are here.
    """

    epochs: int
    blocks: Blocks
    threshold: float
    seed: int
    learning_rate: float = 2e-5


@dataclass
class Learning:
    """Where it stands.

    Attributes:
        network: What makes the vectors.
        weights: What of it learns, by name.
        head: The weights of the head.
        optimizer: Adam over both.
        first: The clusters before the first step, shape (n,).
        labels: The clusters at the last look, shape (n,).
        sure: Which of them are lessons, shape (n,).
        epoch: Epochs done.
        step: Steps done in this epoch.
        begun_with: Lessons at the first look.
        idle: Looks one after the other that found no more lessons than the one before.
        saved: When it was saved last, on the monotonic clock.
    """

    network: Network
    weights: dict[str, torch.Tensor]
    head: Weights
    optimizer: torch.optim.Optimizer
    first: torch.Tensor
    labels: torch.Tensor
    sure: torch.Tensor
    epoch: int = 0
    step: int = 0
    begun_with: int = 0
    idle: int = 0
    saved: float = field(default_factory=time.monotonic)


def looks(n_images: int, epochs: int) -> int:
    """How many batches are looked at in so many epochs, at most."""
    return -(-n_images // BATCH) * (epochs + 1)


def learn(
    network: Network,
    model: SCAN,
    images: Sequence[Path],
    plan: Plan,
    checkpoint: Checkpoint,
    advance: Advance,
) -> tuple[dict[str, torch.Tensor], Weights, str]:
    """Train the last blocks of a network, and the head over it, on their own sure labels.

    The last step of SCAN (Van Gansbeke et al., ECCV 2020, section 2.3): an image whose cluster has
    a probability over the threshold is taken as labelled, and the label is learned from the image
    strongly changed, by cross-entropy in which a cluster weighs the same whatever its size. Here
    the labels are those of the images as they are, looked at once before each epoch. It ends
    where three epochs in a row make no more images sure. Users of the original report clusters
    that vanish meanwhile: where a cluster loses over half of its first members, or fewer images
    are sure in the end than were before, it comes to nothing.

    Args:
        network: As the embedder gives it; changed.
        model: The fitted clusterer, whose head is taken over and left as it is.
        images: The files, shape (n,).
        plan: How to learn.
        checkpoint: Where it is saved every 30 seconds, and goes on from.
        advance: Called for each batch that is looked at.

    Returns:
        The weights that were trained, by name; the head; what went wrong in a sentence, empty
        where nothing did: else both are to be thrown away.

    Raises:
        ImageProblem: An image cannot be read.
        InputError: The network has too few blocks, or the checkpoint is of another training.
        DiskError: The checkpoint cannot be written.
    """
    at = _begun(network, model, images, plan)
    _load(at, checkpoint)
    while True:
        if at.step == 0:
            _look(at, model, images, plan, advance)
        if why := _spoilt(at, model, plan):
            return {}, [], why
        if _ended(at, plan):
            return at.weights, [part.detach().cpu() for part in at.head], ""
        _epoch(at, model, images, plan, checkpoint)


def _begun(network: Network, model: SCAN, images: Sequence[Path], plan: Plan) -> Learning:
    weights = open_last(network, read_image(images[0], EDGE), plan.blocks)
    where = next(iter(weights.values())).device
    head = [part.clone().to(where).requires_grad_() for part in model.head()]
    optimizer = torch.optim.AdamW(
        [*weights.values(), *head], lr=plan.learning_rate, weight_decay=WEIGHT_DECAY
    )
    none = torch.full((len(images),), -1)
    return Learning(network, weights, head, optimizer, none, none, none > 0)


def _look(at: Learning, model: SCAN, images: Sequence[Path], plan: Plan, advance: Advance) -> None:
    """Note the clusters of the images as they are, and which are lessons."""
    found = []
    places = np.arange(len(images))
    with torch.no_grad():
        for pixels in _pixels(at.network, images, places, lambda image, _: image):
            shares = model.logits(at.network.vectors(pixels), at.head).softmax(dim=1)
            found.append(shares.cpu().max(dim=1))
            advance()
    lessons = int(at.sure.sum())
    at.labels = torch.cat([labels for _, labels in found])
    at.sure = torch.cat([surest for surest, _ in found]) > plan.threshold
    at.idle = 0 if int(at.sure.sum()) > lessons else at.idle + 1
    if at.epoch == 0:
        at.first, at.begun_with = at.labels, int(at.sure.sum())


def _spoilt(at: Learning, model: SCAN, plan: Plan) -> str:
    """Why what came before is to be kept, if it is."""
    if not at.begun_with:
        return f"no image is surer than {plan.threshold}: nothing to learn from in fine-tuning"
    share = lost(at.first, at.labels, len(model.used_))
    if share > LOST:
        return f"a cluster lost {share:.0%} of its members in fine-tuning: {KEPT}"
    lessons = int(at.sure.sum())
    if _ended(at, plan) and lessons < at.begun_with:
        return f"fine-tuning left {lessons} images sure of {at.begun_with}: {KEPT}"
    return ""


def _ended(at: Learning, plan: Plan) -> bool:
    return at.epoch == plan.epochs or at.idle >= PLATEAU


def _epoch(
    at: Learning, model: SCAN, images: Sequence[Path], plan: Plan, checkpoint: Checkpoint
) -> None:
    """Go on with an epoch to its end."""
    order = np.random.default_rng((plan.seed, at.epoch)).permutation(len(images))
    order = order[at.sure.numpy()[order]]
    sizes = torch.bincount(at.labels[at.sure], minlength=len(model.used_))
    balance = at.sure.sum() / (len(sizes) * sizes.clamp(min=1).float())
    left = order[at.step * BATCH :]

    def changed(image: Image.Image, place: int) -> Image.Image:
        # chance of its own for each image: it is the same wherever a killed process goes on
        return strong(image, np.random.default_rng((plan.seed, at.epoch, place)))

    for pixels in _pixels(at.network, images, left, changed):
        own = at.labels[order[at.step * BATCH : (at.step + 1) * BATCH]]
        logits = model.logits(at.network.vectors(pixels), at.head)
        loss = functional.cross_entropy(
            logits, own.to(logits.device), weight=balance.to(logits.device)
        )
        loss.backward()
        at.optimizer.step()
        at.optimizer.zero_grad()
        at.step += 1
        if time.monotonic() - at.saved >= SAVED_EVERY:
            _save(at, checkpoint)
    at.epoch, at.step = at.epoch + 1, 0


def _pixels(
    network: Network, images: Sequence[Path], places: NDArray[np.int64], view: View
) -> Iterator[torch.Tensor]:
    """Batches of the images at these places as the network wants them, some ahead."""

    def batch(chosen: NDArray[np.int64]) -> torch.Tensor:
        views = [view(read_image(images[place], EDGE), int(place)) for place in chosen]
        return torch.from_numpy(np.stack([network.pixels(image) for image in views]))

    parts = [places[start : start + BATCH] for start in range(0, len(places), BATCH)]
    return side_by_side(batch, parts, os.cpu_count() or 1)


def _save(at: Learning, checkpoint: Checkpoint) -> None:
    parts = [*at.weights.values(), *at.head]
    arrays = {f"part{place}": part.detach().cpu().numpy() for place, part in enumerate(parts)}
    for place, state in at.optimizer.state_dict()["state"].items():
        arrays |= {f"{name}{place}": value.cpu().numpy() for name, value in state.items()}
    arrays |= {"first": at.first.numpy(), "labels": at.labels.numpy(), "sure": at.sure.numpy()}
    about = {name: getattr(at, name) for name in ("epoch", "step", "begun_with", "idle")}
    checkpoint.write(about, arrays)
    at.saved = time.monotonic()


def _load(at: Learning, checkpoint: Checkpoint) -> None:
    known = checkpoint.read()
    if known is None:
        return
    about, stored = known
    parts = [*at.weights.values(), *at.head]
    optimizer = at.optimizer.state_dict()
    for place, part in enumerate(parts):
        part.data.copy_(torch.from_numpy(stored[f"part{place}"]))
        names = [name for name in ("step", "exp_avg", "exp_avg_sq") if f"{name}{place}" in stored]
        if names:  # what has had no gradient yet has no state
            state = {name: torch.from_numpy(stored[f"{name}{place}"]) for name in names}
            optimizer["state"][place] = state
    at.optimizer.load_state_dict(optimizer)
    at.first, at.labels, at.sure = (
        torch.from_numpy(stored[name]) for name in ("first", "labels", "sure")
    )
    for name in ("epoch", "step", "begun_with", "idle"):
        setattr(at, name, about[name])
