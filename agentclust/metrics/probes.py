"""Probes: what a classifier that is shown true labels makes of the same vectors.

An upper bound on what a clustering of them can be expected to reach. Only `evaluate` calls this:
no run, prompt or internal score can see it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from agentclust.errors import InputError

FOLDS = 5
NEIGHBOURS = 20  # or as many as a class has members, where these are fewer
PENALTIES = np.logspace(-3, 3, 7)  # of unit rows; each fold picks its own by leave-one-out


def probes(vectors: NDArray[np.float32], truth: Sequence[str], seed: int = 0) -> dict[str, float]:
    """The accuracy of a linear and of a k-nearest-neighbours classifier, cross-validated.

    The linear probe is a ridge classifier, the other a vote of at most 20 neighbours weighted by
    nearness.
    Each row is classified by what learned from the other four fifths; a class of fewer than five
    members cannot be in every fold and is met less often.

    Args:
        vectors: Unit rows, shape (n, d).
        truth: The true class of each, shape (n,).
        seed: Of the folds.

    Returns:
        ``linear_probe`` and ``knn_probe``: shares of the rows classified rightly, 0..1.

    Raises:
        InputError: There are not two classes of two members.
    """
    classes, sizes = np.unique(np.asarray(truth), return_counts=True)
    if (sizes > 1).sum() < 2:  # each fold then has two classes to learn
        why = f"{len(classes)} classes of at most {sizes.max(initial=0)} samples"
        raise InputError("the labels", f"{why} teach a classifier nothing", "leave --probe away")
    folds = StratifiedKFold(min(FOLDS, int(sizes.max())), shuffle=True, random_state=seed)
    learned = len(truth) * (folds.n_splits - 1) // folds.n_splits
    neighbours = min(NEIGHBOURS, max(1, learned // len(classes)))
    kinds = {
        "linear_probe": RidgeClassifierCV(PENALTIES),
        "knn_probe": KNeighborsClassifier(neighbours, weights="distance"),
    }
    found = {}
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for name, kind in kinds.items():
            guesses = cross_val_predict(kind, vectors, np.asarray(truth), cv=folds)
            found[name] = float(np.mean(guesses == np.asarray(truth)))
    return found
