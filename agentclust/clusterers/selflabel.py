"""SCAN's last step: a head learns from the rows that it is sure of, unless clusters collapse.

It knows nothing of how the head was trained before.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from agentclust.clusterers.training import Objective, Plan, Weights, probabilities

DROPPED = 0.2  # of a row's numbers: in place of the augmented images of the paper
GENTLER = 0.1  # of the learning rate that the head was trained with
LOST = 0.5  # share of its members that a cluster may lose
PLATEAU = 3  # epochs without more sure rows


def self_labelled(
    objective: Objective,
    head: Weights,
    rows: torch.Tensor,
    plan: Plan,
    threshold: float,
    seed: int,
) -> tuple[Weights, str]:
    """Train a head on its own sure labels (Van Gansbeke et al., ECCV 2020, section 2.3).

    In each step, rows whose cluster has a probability over `threshold` are taken as labelled, and
    the head learns those labels from the rows with a fifth of their numbers dropped: fixed vectors
    know no augmented images. A cluster weighs the same whatever its size. It ends where no more
    rows become sure. Users of the original report clusters that vanish meanwhile: a head of which
    a cluster loses over half of its members is not taken.

    Args:
        objective: Whose network the head is of.
        head: The head, each of its tensors with one head as first axis.
        rows: Shape (n, d).
        plan: Epochs at most, batch size, learning rate and decay.
        threshold: Of the probability, 0 to 1.
        seed: Of batches and what is dropped.

    Returns:
        The head to use, and what went wrong in a sentence, empty where nothing did.
    """
    random = torch.Generator().manual_seed(seed)
    weights = [part.clone().requires_grad_() for part in head]
    optimizer = torch.optim.AdamW(
        weights, lr=GENTLER * plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
    before = probabilities(objective, head, rows)
    if not bool((before > threshold).any()):
        return head, f"no row is surer than {threshold}: nothing to learn from in self-labelling"
    most, idle = 0, 0
    for _ in range(plan.epochs):
        sure = 0
        order = torch.randperm(len(rows), generator=random).to(rows.device)
        for batch in order.split(plan.batch_size):
            sure += _step(objective, weights, rows[batch], threshold, random)
            optimizer.step()
            optimizer.zero_grad()
        most, idle = (sure, 0) if sure > most else (most, idle + 1)
        if idle >= PLATEAU:
            break
    after = [part.detach() for part in weights]
    labels = probabilities(objective, after, rows).argmax(dim=1)
    share = lost(before.argmax(dim=1), labels, before.shape[1])
    if share > LOST:
        why = f"a cluster lost {share:.0%} of its members in self-labelling"
        return head, f"{why}: the clusters of before are kept"
    return after, ""


def _step(
    objective: Objective,
    weights: Weights,
    rows: torch.Tensor,
    threshold: float,
    random: torch.Generator,
) -> int:
    """Gradients of one batch; how many of its rows are sure."""
    with torch.no_grad():
        surest, labels = objective.logits(weights, rows)[0].softmax(dim=1).max(dim=1)
        sure = surest > threshold
    if not bool(sure.any()):
        return 0
    kept = torch.rand(rows[sure].shape, generator=random).to(rows) >= DROPPED
    logits = objective.logits(weights, rows[sure] * kept / (1 - DROPPED))[0]
    sizes = torch.bincount(labels[sure], minlength=logits.shape[1])
    balance = len(logits) / sizes.clamp(min=1).float()
    functional.cross_entropy(logits, labels[sure], weight=balance).backward()
    return int(sure.sum())


def lost(before: torch.Tensor, after: torch.Tensor, count: int) -> float:
    """The largest share of its members that a cluster has lost."""
    sizes = torch.bincount(before, minlength=count).cpu().numpy()
    stayed = torch.bincount(before[before == after], minlength=count).cpu().numpy()
    there = sizes > 0
    return float(np.max(1 - stayed[there] / sizes[there]))
