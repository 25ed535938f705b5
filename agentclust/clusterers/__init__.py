"""Clusterers: vectors in, a cluster for each out; every one is a scikit-learn `ClusterMixin`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from agentclust import plugins
from agentclust.errors import AgentclustError, InputError

OURS = ("checkpoint", "progress")  # what a run decides and no setting
NEXT_STEP = "name a class in the manner of sklearn.cluster"


def load_clusterer(
    name: str,
    n_clusters: int | Literal["auto"],
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    **offered: Any,
) -> Any:
    """The clusterer of that name, not yet fitted.

    Known are those of `agentclust.plugins`, those of installed packages (entry points
    ``agentclust.clusterers``), and ``package.module:Class``, such as ``sklearn.cluster:Birch``.
    A class is given `n_clusters`, `random_state` and what is `offered` only where its ``__init__``
    takes them.

    Args:
        name: Which one.
        n_clusters: How many clusters; ``"auto"`` only for a class whose own default that is.
        seed: The ``random_state``.
        settings: Arguments that it has to take.
        **offered: Arguments that it may take.

    Returns:
        An estimator with ``fit(vectors)`` and then ``labels_``, shape (n,), -1 for unassigned.

    Raises:
        InputError: Nobody knows the name, what is behind it is no clusterer, it needs a number of
            clusters, or it has no such setting.
        MissingExtra: It needs an optional dependency that is not installed.
    """
    build = plugins.find("clusterers", name)
    taken = _parameters(name, build)
    settings = settings or {}
    for word in settings:
        if word not in taken or word in OURS:
            raise plugins.unknown(f"setting of {name}", word, [w for w in taken if w not in OURS])
    if n_clusters == "auto" and _counted(taken):
        raise InputError("n_clusters=auto", f"{name} needs a number", "pass --n-clusters K")
    offered = {"n_clusters": n_clusters, "random_state": seed} | offered
    try:
        known = {word: value for word, value in offered.items() if word in taken}
        clusterer = build(**{**known, **settings})
    except AgentclustError:
        raise  # it says itself what to do next
    except Exception as error:  # the code of others raises anything
        why = f"cannot be built ({type(error).__name__}: {error})"
        raise InputError(name, why, NEXT_STEP) from error
    if not (hasattr(clusterer, "fit") and hasattr(clusterer, "get_params")):
        raise InputError(name, f"is a {type(clusterer).__name__}, no clusterer", NEXT_STEP)
    if hasattr(clusterer, "check_settings"):
        clusterer.check_settings()
    return clusterer


def needs_a_number(name: str) -> bool:
    """Whether the clusterer has to be told how many clusters there are.

    Raises:
        InputError: Nobody knows the name, or what is behind it is no clusterer.
        MissingExtra: It needs an optional dependency that is not installed.
    """
    return _counted(_parameters(name, plugins.find("clusterers", name)))


def _counted(taken: Mapping[str, inspect.Parameter]) -> bool:
    return "n_clusters" in taken and taken["n_clusters"].default != "auto"


def _parameters(name: str, build: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(build).parameters
    except (TypeError, ValueError) as error:
        raise InputError(name, f"cannot be built ({error})", NEXT_STEP) from error
