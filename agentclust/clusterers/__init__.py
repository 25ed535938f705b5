"""Clusterers: vectors in, a cluster for each out; every one is a scikit-learn `ClusterMixin`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from agentclust import plugins
from agentclust.errors import AgentclustError, InputError


def load_clusterer(
    name: str,
    n_clusters: int | Literal["auto"],
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """The clusterer of that name, not yet fitted.

    Known are ``kmeans``, ``minibatch-kmeans``, ``consensus`` and ``ward``, those of installed
    packages (entry points ``agentclust.clusterers``), and ``package.module:Class``, such as
    ``sklearn.cluster:HDBSCAN``.
    A class is given `n_clusters` and `random_state` only where its ``__init__`` takes them.

    Args:
        name: Which one.
        n_clusters: How many clusters; ``"auto"`` only for a class that knows what that means.
        seed: The ``random_state``.
        settings: Other parameters of its ``__init__``, by name.

    Returns:
        An estimator with ``fit(vectors)`` and then ``labels_``, shape (n,), -1 for unassigned.

    Raises:
        InputError: Nobody knows the name or a setting, or what is behind it is no clusterer.
    """
    build = plugins.find("clusterers", name)
    todo = "name a class in the manner of sklearn.cluster"
    try:
        taken = inspect.signature(build).parameters
        offered = {"n_clusters": n_clusters, "random_state": seed}
        given = {word: value for word, value in offered.items() if word in taken}
        for word in settings or {}:
            if word not in taken or word == "n_clusters":
                raise plugins.unknown(f"setting of {name}", word, set(taken) - {"n_clusters"})
        clusterer = build(**given | dict(settings or {}))
    except AgentclustError:
        raise
    except Exception as error:  # the code of others raises anything
        why = f"cannot be built ({type(error).__name__}: {error})"
        raise InputError(name, why, todo) from error
    if not (hasattr(clusterer, "fit") and hasattr(clusterer, "get_params")):
        raise InputError(name, f"is a {type(clusterer).__name__}, no clusterer", todo)
    return clusterer
