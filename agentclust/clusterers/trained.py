"""What clusterers share that train heads on fixed vectors: preparing rows, and judging the outcome.

It knows neither a loss nor where the vectors come from.
"""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from agentclust.clusterers.centred import a_number
from agentclust.clusterers.counting import Curve, Labels
from agentclust.clusterers.doubts import doubts
from agentclust.clusterers.kmeans import KMeans
from agentclust.clusterers.neighbours import neighbours
from agentclust.clusterers.ranges import check_ranges
from agentclust.clusterers.training import (
    Objective,
    Plan,
    Progress,
    Weights,
    begun,
    best_head,
    load,
    probabilities,
    save,
    train,
)
from agentclust.errors import InputError
from agentclust.files.arrays import Checkpoint
from agentclust.networks.devices import fastest
from agentclust.networks.threads import one_thread

WEIGHT_DECAY = 1e-4
REFERENCE = 256  # batch size that a learning rate is given for
LEAST_SPREAD = 0.01  # of the root mean square over the dimensions: below it is rounding

Rows = NDArray[np.float32]


class Trained(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A clusterer that trains `n_heads` heads on pairs of near rows and keeps the best head.

    Rows of zeros say nothing and are unassigned.

    Attributes:
        kept: The learned attributes that predicting takes, for `agentclust.clusterers.saved`.
    """

    n_clusters: int | Literal["auto"]
    n_neighbors: int
    n_components: float
    standardize: bool = False
    learning_rate: float | Literal["auto"]
    epochs: int
    warmup: int
    batch_size: int
    patience: int
    tolerance: float
    compare: bool
    checkpoint: str | os.PathLike[str] | None
    progress: Progress | None
    random_state: Any
    kept: ClassVar[tuple[str, ...]] = ("mean_", "components_", "used_")

    def check_settings(self) -> None:
        """Look whether each setting is a number that means something.

        Raises:
            InputError: One is not.
        """
        check_ranges(self.get_params())

    @abstractmethod
    def _objective(self) -> Objective:
        """The loss and the network."""

    @abstractmethod
    def _plan(self, n_rows: int) -> Plan:
        """How to train on so many rows."""

    def _refined(
        self, objective: Objective, head: Weights, rows: torch.Tensor, plan: Plan, seed: int
    ) -> Weights:
        """The best head after whatever follows the training."""
        return head

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train the heads, keep the best, and compare it with k-means.

        Args:
            X: Vectors, shape (n, d), of any length; rows are taken as directions.
            y: Not used.

        Raises:
            InputError: A setting is out of its range, the rows are all zero or all the same, or the
                checkpoint is damaged or of other vectors or settings.
            DiskError: The checkpoint cannot be written.
        """
        self.check_settings()
        unit = normalize(validate_data(self, X, dtype=np.float32, ensure_min_samples=2))
        known = unit.any(axis=1)
        rows = np.ascontiguousarray(unit[known])
        n_different = len(np.unique(rows, axis=0))
        if n_different < 2:
            why = "are all the same" if known.any() else "are all zero"
            raise InputError("the vectors", why, "embed something else")
        rival, k = self._rival(rows, n_different)
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.doubts_: list[str] = []
        objective, plan = self._objective(), self._plan(len(rows))
        with one_thread(), threadpool_limits(1):
            near = neighbours(rows, min(self.n_neighbors, max(1, len(rows) // (2 * k))))
            self._prepare(rows)
            inner = self._inner(rows).to(fastest())
            training = begun(objective, inner, k, plan, seed)
            checkpoint = self._checkpoint(rows)
            if checkpoint:
                load(training, checkpoint)
            partners = torch.from_numpy(near).to(inner.device)
            train(training, objective, inner, partners, plan, self.progress, checkpoint)
            if checkpoint:
                save(training, checkpoint)
            self._take(self._refined(objective, best_head(training), inner, plan, seed))
        self.n_epochs_, self.losses_ = training.epoch, training.losses.cpu().numpy()
        self.used_ = np.arange(k)
        self._conclude(unit, known)
        if self.n_clusters_ < k:
            self.doubts_.append(f"only {self.n_clusters_} of {k} clusters have members")
        if rival:
            self.doubts_ += doubts(rows, near, self.labels_[known], rival.labels_, seed)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """How probable each cluster is for each row of X, shape (n, k); zeros for zeros."""
        check_is_fitted(self)
        rows = normalize(validate_data(self, X, dtype=np.float32, reset=False))
        with one_thread():
            found = probabilities(self._objective(), self.head(), self._inner(rows)).numpy()
        return np.where(rows.any(axis=1, keepdims=True), found[:, self.used_].astype(float), 0.0)

    def logits(self, rows: torch.Tensor, head: Weights | None = None) -> torch.Tensor:
        """What a head makes of unit rows of shape (n, d), to be differentiated: shape (n, k).

        Args:
            rows: On any device.
            head: On the same; by default the one that was fitted, for rows on the CPU.
        """
        mean, components = (torch.from_numpy(a).to(rows) for a in (self.mean_, self.components_))
        inner = (rows - mean) @ components.T
        found = self._objective().logits(self.head() if head is None else head, inner)[0]
        return found[:, torch.from_numpy(self.used_)]

    def head(self) -> Weights:
        """The weights of the head, each with one head as first axis."""
        names = [name for name in self.kept if name.startswith("weights")]
        return [torch.from_numpy(getattr(self, name)) for name in names]

    def adopt(self, head: Weights, X: ArrayLike) -> Self:
        """Take over a head that was trained further, and group X by it.

        Args:
            head: As of `head`, for rows that are turned as those of `fit`.
            X: As of `fit`.
        """
        self._take(head)
        unit = normalize(validate_data(self, X, dtype=np.float32, reset=False))
        self._conclude(unit, unit.any(axis=1))
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """The cluster of each row of X, shape (n,); -1 for zeros."""
        shares = self.predict_proba(X)
        return np.where(shares.any(axis=1), shares.argmax(axis=1), -1)

    def _rival(self, rows: Rows, n_different: int) -> tuple[KMeans | None, int]:
        """k-means on the same rows where it is wanted, and how many clusters there will be."""
        self.curve_: Curve | None = None
        if self.compare or self.n_clusters == "auto":
            rival = KMeans(self.n_clusters, random_state=self.random_state).fit(rows)
            self.curve_ = rival.curve_
            return (rival if self.compare else None), rival.n_clusters_
        return None, min(a_number(self.n_clusters), n_different)

    def _prepare(self, rows: Rows) -> None:
        """Learn the principal directions that keep `n_components` of the variance.

        With `standardize` they are those of dimensions that all vary alike. Weights drawn alike in
        all directions do not mind the turn, and a smaller first layer costs less. The mean square
        of the rows becomes 1 a dimension of X, for which the spread of fresh weights is made.
        """
        self.mean_ = rows.mean(axis=0)
        centred = (rows - self.mean_).astype(np.float64)
        scales = np.ones(rows.shape[1])
        if self.standardize:
            scales = np.sqrt((centred**2).mean(axis=0))
            scales = np.maximum(scales, LEAST_SPREAD * np.sqrt((scales**2).mean()))
            centred /= scales
        spread, directions = np.linalg.eigh(centred.T @ centred / len(rows))
        spread, directions = np.clip(spread[::-1], 0, None), directions[:, ::-1].T
        shares = np.cumsum(spread) / spread.sum()
        n_kept = min(int(np.searchsorted(shares, self.n_components)) + 1, len(spread))
        scale = np.sqrt(len(spread) / spread[:n_kept].sum())
        self.components_ = (directions[:n_kept] * scale / scales).astype(np.float32)

    def _inner(self, rows: Rows) -> torch.Tensor:
        """Rows as the heads see them, shape (n, components)."""
        return torch.from_numpy((rows - self.mean_) @ self.components_.T)

    def _checkpoint(self, rows: Rows) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        passing = ("checkpoint", "progress", "compare")
        settings = {n: str(v) for n, v in self.get_params().items() if n not in passing}
        about = {"vectors": hashlib.sha256(rows.tobytes()).hexdigest(), "settings": settings}
        return Checkpoint(Path(self.checkpoint), about)

    def _take(self, head: Weights) -> None:
        for place, weights in enumerate(head):
            setattr(self, f"weights{place}_", weights.cpu().numpy())

    def _conclude(self, unit: Rows, known: NDArray[np.bool_]) -> None:
        """Labels, probabilities and prototypes; clusters that hold nothing are left out."""
        shares = self.predict_proba(unit)
        held = np.unique(shares[known].argmax(axis=1))
        self.used_, shares = self.used_[held], shares[:, held]
        self.labels_ = np.where(known, shares.argmax(axis=1), -1)
        self.probabilities_ = shares.max(axis=1)
        self.prototypes_ = shares.argmax(axis=0)
        self.n_clusters_ = len(self.used_)


def paced(model: Trained, n_rows: int, momentum: float | Literal["auto"]) -> Plan:
    """The plan for so many rows: few rows make few steps, which then have to be larger.

    Args:
        model: Whose settings hold.
        n_rows: Rows to train on.
        momentum: Of the teacher, 0 for none; ``"auto"`` by the number of steps.
    """
    batch = min(model.batch_size, n_rows)
    steps = model.epochs * (n_rows // batch)
    rate = model.learning_rate
    if rate == "auto":
        rate = float(np.clip(4 / steps, 1e-4, 1e-2))
    if momentum == "auto":
        momentum = float(np.clip(1 - 20 / steps, 0.95, 0.996))
    return Plan(
        epochs=model.epochs,
        batch_size=batch,
        learning_rate=rate * batch / REFERENCE,
        warmup=model.warmup,
        weight_decay=WEIGHT_DECAY,
        momentum=momentum,
        patience=model.patience,
        tolerance=model.tolerance,
    )
