"""SCAN on fixed vectors: near rows get the same cluster, and every cluster its share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch.nn import functional

from agentclust.clusterers.selflabel import self_labelled
from agentclust.clusterers.trained import Trained, paced
from agentclust.clusterers.training import Objective, Plan, Progress, Training, Weights

TINY = 1e-12  # a share whose logarithm is still a number


@dataclass(frozen=True)
class SemanticClustering:
    """The loss and the network of SCAN; a head is linear."""

    n_heads: int
    entropy_weight: float

    undecayed: ClassVar[Sequence[int]] = (1,)  # the biases
    late: ClassVar[Sequence[int]] = ()

    def begin(self, width: int, n_clusters: int, random: torch.Generator) -> Weights:
        """Fresh weights and biases."""
        shape = (self.n_heads, n_clusters, width)
        spread = 2 / width**0.5
        biases = torch.rand(shape[:2], generator=random) - 0.5
        return [(torch.rand(shape, generator=random) - 0.5) * spread, biases * spread]

    def logits(self, weights: Weights, rows: torch.Tensor) -> torch.Tensor:
        """Shape (heads, m, clusters)."""
        layer, bias = weights
        heads, clusters, width = layer.shape
        found = functional.linear(rows, layer.view(heads * clusters, width), bias.view(-1))
        return found.view(-1, heads, clusters).transpose(0, 1)

    def losses(
        self, training: Training, rows: torch.Tensor, left: torch.Tensor, right: torch.Tensor
    ) -> torch.Tensor:
        """Consistency of pairs less the entropy of the clusters' shares (equation 2)."""
        known = self.logits(training.student, rows).log_softmax(dim=-1)
        same = torch.logsumexp(known[:, left] + known[:, right], dim=-1).mean(dim=1)
        shares = known[:, left].exp().mean(dim=1)
        entropy = -(shares * shares.clamp(min=TINY).log()).sum(dim=1)
        return -same - self.entropy_weight * entropy


class SCAN(Trained):
    """Semantic clustering by adopting nearest neighbours (Van Gansbeke et al., ECCV 2020).

    Several linear heads are trained so that a row and its neighbour get the same cluster with
    certainty, while the entropy of the clusters' shares keeps all of them in use; the head of the
    least loss is kept (section 2.2). It then learns from the rows that it is sure of (2.3).
    The network that made the vectors is not trained further.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes as many as
            k-means finds by the silhouette.
        n_neighbors: Partners of each row, at most half as many as rows a cluster.
        n_heads: Heads trained side by side.
        entropy_weight: Of the entropy in the loss.
        self_label: Whether the head learns from what it is sure of in the end.
        threshold: Probability from which it is sure.
        learning_rate: For a batch of 256; it grows with the batch. ``"auto"`` is 4 over the number
            of steps, from the paper's 1e-4 to 1e-2: few rows make few steps.
        epochs: At most so many passes over the rows, and as many of self-labelling.
        warmup: Epochs in which the learning rate rises.
        batch_size: Rows of a step, each with one partner.
        n_components: Share of the variance whose principal directions the heads see.
        patience: Epochs between two looks at the clusters.
        tolerance: Training ends where at most this share of the rows changed between two looks.
        compare: Whether to compare with k-means, for `doubts_`.
        checkpoint: A file that a killed fit goes on from, written every 30 seconds.
        progress: Called after each epoch with how many are done and how many there will be.
        random_state: Seed.

    Attributes:
        labels_: Cluster of each row, shape (n,); -1 for a row of zeros.
        probabilities_: Probability of that cluster, shape (n,).
        curve_: What each number of clusters gave, where ``"auto"`` tried several; else None.
        n_clusters_: How many clusters have members.
        prototypes_: The surest row of each cluster, shape (k,).
        doubts_: What speaks for k-means instead, and other warnings, in sentences.
        losses_: Loss of each head in the last epoch, shape (n_heads,).
        n_epochs_: Epochs that it took.

    Example:
        >>> model = SCAN(n_clusters=2, random_state=0).fit([[1, 0], [9, 1], [0, 1], [1, 5]])
        >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[2] == model.labels_[3])
        True
    """

    kept = (*Trained.kept, "weights0_", "weights1_")

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = "auto",
        *,
        n_neighbors: int = 20,
        n_heads: int = 10,
        entropy_weight: float = 5.0,
        self_label: bool = True,
        threshold: float = 0.99,
        learning_rate: float | Literal["auto"] = "auto",
        epochs: int = 100,
        warmup: int = 0,
        batch_size: int = 256,
        n_components: float = 0.9,
        patience: int = 20,
        tolerance: float = 0.001,
        compare: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_heads = n_heads
        self.entropy_weight = entropy_weight
        self.self_label = self_label
        self.threshold = threshold
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.warmup = warmup
        self.batch_size = batch_size
        self.n_components = n_components
        self.patience = patience
        self.tolerance = tolerance
        self.compare = compare
        self.checkpoint = checkpoint
        self.progress = progress
        self.random_state = random_state

    def _objective(self) -> SemanticClustering:
        return SemanticClustering(self.n_heads, self.entropy_weight)

    def _plan(self, n_rows: int) -> Plan:
        return paced(self, n_rows, momentum=0.0)

    def _refined(
        self, objective: Objective, head: Weights, rows: torch.Tensor, plan: Plan, seed: int
    ) -> Weights:
        if not self.self_label:
            return head
        head, doubt = self_labelled(objective, head, rows, plan, self.threshold, seed)
        self.doubts_ += [doubt] * bool(doubt)
        return head
