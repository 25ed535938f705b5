"""TEMI: heads that learn from their own slower selves which near rows belong together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch.nn import functional

from agentclust.clusterers.trained import Trained, paced
from agentclust.clusterers.training import Plan, Progress, Training, Weights

SPREAD = 0.02  # standard deviation of fresh weights
SHARES_KEPT = 0.9  # of the running shares of the clusters, at each step


@dataclass(frozen=True)
class SelfDistillation:
    """The loss and the network of TEMI.

    A head is two layers with a GELU between, a projection to the unit sphere, and cosines with
    `n_clusters` directions of a learned length.
    """

    n_heads: int
    hidden: int
    bottleneck: int
    beta: float
    temperature: float

    undecayed: ClassVar[Sequence[int]] = (1, 3)  # the biases
    late: ClassVar[Sequence[int]] = (4, 5)  # the directions

    def begin(self, width: int, n_clusters: int, random: torch.Generator) -> Weights:
        """Fresh weights: two layers with their biases, directions, and the directions' lengths."""
        heads, hidden, bottleneck = self.n_heads, self.hidden, self.bottleneck
        layers = [torch.empty(heads, hidden, width), torch.empty(heads, hidden, bottleneck)]
        for layer in layers:
            torch.nn.init.trunc_normal_(layer, std=SPREAD, generator=random)
        directions = torch.rand(heads, bottleneck, n_clusters, generator=random) - 0.5
        return [
            layers[0],
            torch.zeros(heads, hidden),
            layers[1],
            torch.zeros(heads, 1, bottleneck),
            directions * (2 / bottleneck**0.5),
            torch.ones(heads, 1, n_clusters),
        ]

    def logits(self, weights: Weights, rows: torch.Tensor) -> torch.Tensor:
        """Cosines over the temperature, shape (heads, m, clusters)."""
        first, first_bias, second, second_bias, directions, lengths = weights
        heads, hidden, width = first.shape
        # one product for the first layers of all heads
        inner = functional.linear(rows, first.view(heads * hidden, width), first_bias.view(-1))
        inner = functional.gelu(inner).view(-1, heads, hidden).transpose(0, 1)
        sphere = functional.normalize(torch.baddbmm(second_bias, inner, second), dim=-1)
        steered = directions * (lengths / (directions.norm(dim=1, keepdim=True) * self.temperature))
        return torch.bmm(sphere, steered)

    def losses(
        self, training: Training, rows: torch.Tensor, left: torch.Tensor, right: torch.Tensor
    ) -> torch.Tensor:
        """The weighted pointwise mutual information of pairs, both ways (section 3 of the paper).

        A pair weighs what the teachers of all heads, on average, take the probability to be that
        both are of one cluster: false neighbours count little.
        """
        with torch.no_grad():
            teacher = self.logits(training.teacher, rows).log_softmax(dim=-1)
            shares = teacher.exp()
            weight = (shares[:, left] * shares[:, right]).sum(dim=-1).mean(dim=0)
            # the mean over the pairs' rows: one that is in several pairs counts as often
            often = torch.bincount(torch.cat([left, right]), minlength=len(rows)) / (2 * len(left))
            training.shares.lerp_((often @ shares)[:, None], 1 - SHARES_KEPT)
            rarity = training.shares.log()
        student = self.logits(training.student, rows).log_softmax(dim=-1)
        information = [
            torch.logsumexp(self.beta * (student[:, one] + teacher[:, other]) - rarity, dim=-1)
            for one, other in ((left, right), (right, left))
        ]
        return -(weight * (information[0] + information[1]) / 2).mean(dim=1)


class TEMI(Trained):
    """Self-distillation of clustering heads (Adaloglou et al., BMVC 2023, sections 3.1 to 3.3).

    Several heads are trained on pairs of near rows. Each learns from its teacher, the running
    average of itself, to give both of a pair the same cluster and all clusters their share: the
    loss is a pointwise mutual information with exponent `beta`, weighted by how sure the teachers
    of all heads are that the pair belongs together. The head of the least loss is kept, as its
    teacher.

    Args:
        n_clusters: How many; fewer are found where fewer rows differ. ``"auto"`` takes as many as
            k-means finds by the silhouette.
        n_neighbors: Partners of each row, at most half as many as rows a cluster; the paper has 50
            for tens of thousands of rows.
        n_heads: Heads trained side by side.
        hidden: Width of a head's first layer; the paper has 512.
        bottleneck: Width of its second; the paper has 256.
        beta: Below 1, clusters may differ in size, and more of them are used.
        temperature: Of students and teachers.
        momentum: Share of itself that a teacher keeps each step; ``"auto"`` a twentieth of the
            training long, from 0.95 to the paper's 0.996.
        learning_rate: For a batch of 256; it grows with the batch. ``"auto"`` is 4 over the number
            of steps, from the paper's 1e-4 to 1e-2: few rows make few steps.
        epochs: At most so many passes over the rows.
        warmup: Epochs in which the learning rate rises.
        batch_size: Rows of a step, each with one partner.
        n_components: Share of the variance whose principal directions the heads see.
        standardize: Whether all dimensions of X are made to vary alike first, as with the authors'
            ``--embed_norm``; else the larger ones decide.
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
        >>> model = TEMI(n_clusters=2, random_state=0).fit([[1, 0], [9, 1], [0, 1], [1, 5]])
        >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[2] == model.labels_[3])
        True
    """

    kept = (*Trained.kept, *(f"weights{place}_" for place in range(6)))

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = "auto",
        *,
        n_neighbors: int = 20,
        n_heads: int = 16,
        hidden: int = 256,
        bottleneck: int = 128,
        beta: float = 0.6,
        temperature: float = 0.1,
        momentum: float | Literal["auto"] = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        epochs: int = 100,
        warmup: int = 10,
        batch_size: int = 256,
        n_components: float = 0.9,
        standardize: bool = False,
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
        self.hidden = hidden
        self.bottleneck = bottleneck
        self.beta = beta
        self.temperature = temperature
        self.momentum = momentum
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.warmup = warmup
        self.batch_size = batch_size
        self.n_components = n_components
        self.standardize = standardize
        self.patience = patience
        self.tolerance = tolerance
        self.compare = compare
        self.checkpoint = checkpoint
        self.progress = progress
        self.random_state = random_state

    def _objective(self) -> SelfDistillation:
        return SelfDistillation(
            self.n_heads, self.hidden, self.bottleneck, self.beta, self.temperature
        )

    def _plan(self, n_rows: int) -> Plan:
        return paced(self, n_rows, self.momentum)
