"""Training several heads at once on pairs of near rows: epochs, teacher, checkpoints, early stop.

It knows neither a loss nor a network; an `Objective` brings both. The heads are the first axis of
every tensor, so that a step is a few large products instead of many small ones, and a row that a
batch has twice, as itself and as another's neighbour, is computed once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch

from agentclust.files.arrays import Checkpoint

SAVED_EVERY = 30.0  # seconds of training that are lost at most where the process is killed
BLOCK = 4096  # rows whose clusters are computed at a time
Weights = list[torch.Tensor]
Progress = Callable[[int, int], None]  # epochs done, epochs planned


class Objective(Protocol):
    """What is trained, and towards what.

    Attributes:
        undecayed: Places of the weights that do not decay.
        late: Places of the weights that rest during the first epoch.
    """

    undecayed: ClassVar[Sequence[int]]
    late: ClassVar[Sequence[int]]

    def begin(self, width: int, n_clusters: int, random: torch.Generator) -> Weights:
        """Fresh weights of all heads for rows of `width` numbers, the head as first axis."""
        ...

    def logits(self, weights: Weights, rows: torch.Tensor) -> torch.Tensor:
        """What each head makes of rows of shape (m, width): shape (heads, m, clusters)."""
        ...

    def losses(
        self, training: Training, rows: torch.Tensor, left: torch.Tensor, right: torch.Tensor
    ) -> torch.Tensor:
        """The loss of each head, shape (heads,), on the pairs (rows[left], rows[right])."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        epochs: At most so many passes over the rows.
        batch_size: Rows of a step, each with one neighbour.
        learning_rate: After the warm-up.
        warmup: Epochs in which the learning rate rises from 0.
        weight_decay: Of AdamW.
        momentum: Share of itself that the teacher keeps each step; 0 makes it the student.
        patience: Epochs between two looks at the clusters.
        tolerance: Training ends where at most this share of the rows changed between two looks.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup: int
    weight_decay: float
    momentum: float
    patience: int
    tolerance: float


@dataclass
class Training:
    """Where a training stands.

    Attributes:
        student: The weights that are trained.
        teacher: Their running average; the same tensors where there is no teacher.
        shares: Running share of each cluster, shape (heads, 1, clusters).
        optimizer: AdamW over the student.
        random: Where batches and partners come from.
        losses: Mean loss of each head in the last epoch, shape (heads,).
        labels: Clusters at the last look, by the best head, shape (n,).
        epoch: Epochs done.
        settled: Whether the clusters had stopped changing.
        saved: When it was saved last, on the monotonic clock.
    """

    student: Weights
    teacher: Weights
    shares: torch.Tensor
    optimizer: torch.optim.Optimizer
    random: torch.Generator
    losses: torch.Tensor
    labels: torch.Tensor
    epoch: int = 0
    settled: bool = False
    saved: float = field(default_factory=time.monotonic)

    @property
    def best(self) -> int:
        """The head of the least loss."""
        return int(self.losses.argmin())


def begun(
    objective: Objective, rows: torch.Tensor, n_clusters: int, plan: Plan, seed: int
) -> Training:
    """A training that has not taken a step.

    Args:
        objective: What is trained.
        rows: Shape (n, d).
        n_clusters: How many clusters each head tells apart.
        plan: How it will be trained.
        seed: Of the weights and the batches.
    """
    random = torch.Generator().manual_seed(seed)  # the same on every device
    where = rows.device
    student = [part.to(where) for part in objective.begin(rows.shape[1], n_clusters, random)]
    for weights in student:
        weights.requires_grad_()
    groups: list[dict[str, Any]] = [{"params": []}, {"params": [], "weight_decay": 0.0}]
    for place, weights in enumerate(student):
        groups[place in objective.undecayed]["params"].append(weights)
    heads = len(student[0])
    return Training(
        student,
        [weights.detach().clone() for weights in student] if plan.momentum else student,
        torch.full((heads, 1, n_clusters), 1 / n_clusters, device=where),
        torch.optim.AdamW(groups, lr=0.0, weight_decay=plan.weight_decay, fused=True),
        random,
        torch.zeros(heads, device=where),
        torch.full((len(rows),), -1, device=where),
    )


def train(
    training: Training,
    objective: Objective,
    rows: torch.Tensor,
    near: torch.Tensor,
    plan: Plan,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Go on with a training to its end.

    Args:
        training: Where it stands; changed.
        objective: What is trained.
        rows: Shape (n, d), on the device of the training.
        near: The neighbours of each row, shape (n, k), on the same device.
        plan: How to train.
        progress: Told after each epoch how many are done.
        checkpoint: Where it is saved meanwhile.

    Raises:
        DiskError: The checkpoint cannot be written.
    """
    while training.epoch < plan.epochs and not training.settled:
        _epoch(training, objective, rows, near, plan)
        training.epoch += 1
        if training.epoch % plan.patience == 0:
            _look(training, objective, rows, plan)
        if progress:
            progress(training.epoch, plan.epochs)
        if checkpoint and time.monotonic() - training.saved >= SAVED_EVERY:
            save(training, checkpoint)


def _epoch(
    training: Training, objective: Objective, rows: torch.Tensor, near: torch.Tensor, plan: Plan
) -> None:
    size = min(plan.batch_size, len(rows))
    steps = len(rows) // size
    order = torch.randperm(len(rows), generator=training.random)[: steps * size].view(steps, size)
    order = order.to(rows.device)
    total = torch.zeros_like(training.losses)
    for step, batch in enumerate(order):
        partner = torch.randint(near.shape[1], (size,), generator=training.random).to(near)
        different, places = torch.cat([batch, near[batch, partner]]).unique(return_inverse=True)
        losses = objective.losses(training, rows[different], *places.chunk(2))
        losses.mean().backward()
        if training.epoch == 0:
            for place in objective.late:
                training.student[place].grad = None
        done = training.epoch + (step + 1) / steps
        rate = plan.learning_rate * min(1.0, done / max(plan.warmup, 1e-9))
        for group in training.optimizer.param_groups:
            group["lr"] = rate
        training.optimizer.step()
        training.optimizer.zero_grad()
        if plan.momentum:
            with torch.no_grad():
                torch._foreach_lerp_(training.teacher, training.student, 1 - plan.momentum)
        total += losses.detach()
    training.losses = total / steps


def _look(training: Training, objective: Objective, rows: torch.Tensor, plan: Plan) -> None:
    """Note the clusters as they stand, and whether they have settled since the last look."""
    labels = probabilities(objective, best_head(training), rows).argmax(dim=1)
    changed = float((labels != training.labels).float().mean())
    training.settled = training.epoch > plan.warmup and changed <= plan.tolerance
    training.labels = labels


def best_head(training: Training) -> Weights:
    """The teacher's weights of the head of the least loss, as the only head."""
    return [weights[training.best :][:1].detach() for weights in training.teacher]


def probabilities(objective: Objective, head: Weights, rows: torch.Tensor) -> torch.Tensor:
    """How probable a single head takes each cluster to be for each row: shape (n, clusters)."""
    with torch.no_grad():
        found = [objective.logits(head, part)[0].softmax(dim=1) for part in rows.split(BLOCK)]
    return torch.cat(found)


def save(training: Training, checkpoint: Checkpoint) -> None:
    """Write where the training stands.

    Raises:
        DiskError: The file cannot be written.
    """
    about = {"epoch": training.epoch, "settled": training.settled}
    arrays = {name: part.cpu().numpy() for name, part in _tensors(training).items()}
    checkpoint.write(about, arrays | {"random": training.random.get_state().numpy()})
    training.saved = time.monotonic()


def load(training: Training, checkpoint: Checkpoint) -> None:
    """Go on from the checkpoint, where there is one.

    Raises:
        InputError: It is damaged, or of another training.
    """
    known = checkpoint.read()
    if known is None:
        return
    about, stored = known
    for name, tensor in _tensors(training).items():
        tensor.copy_(torch.from_numpy(stored[name]))
    training.random.set_state(torch.from_numpy(stored["random"]))
    training.epoch, training.settled = about["epoch"], about["settled"]


def _tensors(training: Training) -> dict[str, torch.Tensor]:
    """The tensors of a training by name: they themselves, and no copies."""
    state = training.optimizer.state
    found = {"losses": training.losses, "labels": training.labels, "shares": training.shares}
    for place, (student, teacher) in enumerate(
        zip(training.student, training.teacher, strict=True)
    ):
        if not state[student]:  # as before the first step
            state[student]["step"] = torch.zeros((), device=student.device)
            state[student]["exp_avg"] = torch.zeros_like(student)
            state[student]["exp_avg_sq"] = torch.zeros_like(student)
        found[f"student{place}"] = student.detach()
        found[f"teacher{place}"] = teacher.detach()
        found |= {f"{name}{place}": state[student][name] for name in state[student]}
    return found
