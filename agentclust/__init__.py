"""agentclust sorts images by a criterion given in plain words.

The map, from the top down. Imports run downward only; pyproject.toml has the order in full.

    cli/  demo.py       the command line; the demonstration
    service/            what the command line and Python callers call: runs, batches, exports
    explaining/         why images are where they are: heat maps, deciding words, neighbours
    sessions/           a conversation with a person about a result
    pages.py            a run as a person sees it
    agent/              the loop over the tools, and what comes next in it; it alone has LangGraph
    tools/              the agent's tools, one a file
    edits/              what a person changes in a result
    attempts/           other names over the same labels; judging attempts without true labels
    captioned.py        a part of the images is looked at, the others follow by likeness
    embedded.py         groups out of embeddings alone, named afterwards
    tuning/             a network that learns from the groups found with it
    ictc/               caption, label, name, assign; asking little; the published procedure
    working.py work.py  models and answers of a run that is being worked on
    engines/            where models work: in this process, or on a Ray cluster, which it alone has
    models/  captioners/  embedders/  clusterers/  datasets/  metrics/  report/  export/
    run/  cache.py      the run directory; answers that are never paid for twice
    commands/           what a person may say in a session, read without any model
    networks/  files/   PyTorch networks and checkpoints; files that survive a kill, images, bytes
    config.py  prompts.py  progress.py  wording.py  plugins.py  types.py  errors.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentclust.sessions import Session
    from agentclust.types import Clustering

__version__ = version("agentclust")
__all__ = ["Clustering", "cluster", "session"]


def cluster(
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    criterion: str,
    n_clusters: int | str = "auto",
    out: str | os.PathLike[str] | None = None,
    quiet: bool = True,
    engine: str = "local",
    address: str = "",
    **settings: Any,
) -> Clustering:
    """Cluster images by a criterion in plain words.

    Args:
        images: A folder, a manifest, a registered dataset, or a sequence of image files.
        criterion: What to group by, for example ``"mood"``.
        n_clusters: How many clusters, or ``"auto"``.
        out: The run directory, new or empty; by default one below ``runs``.
        quiet: Whether to show no progress on standard error.
        engine: Where models work: ``"local"``, in this process, or ``"ray"``.
        address: The head of a Ray cluster that is there.
        **settings: Any other field of `agentclust.config.RunConfig` (``llm``, ``vlm``, ``mode``,
            ``seed``, …) or of `agentclust.config.ModelConfig` (``base_url``, …).

    Returns:
        The result; its ``run`` is the folder with captions, labels, names and the report.

    Raises:
        agentclust.errors.AgentclustError: With what is wrong, why, and the next step.
    """
    from agentclust import datasets, service
    from agentclust.config import make_config
    from agentclust.progress import Reporter

    if isinstance(images, str | os.PathLike):
        source, dataset = os.fspath(images), None
    else:
        source, dataset = "files", datasets.from_files(images)
    values = {
        "dataset": source,
        "criterion": criterion,
        "n_clusters": n_clusters,
        "llm": settings.pop("llm", None) or service.default_llm(),
        **settings,
    }
    config = make_config(values)
    folder = Path(out) if out else service.free_folder([criterion])
    place = service.Place(engine, address)
    return service.start([config], folder, dataset, Reporter(quiet=quiet), place=place)[0]


@contextmanager
def session(
    run: str | os.PathLike[str], *, criterion: str = "", quiet: bool = True, **settings: Any
) -> Iterator[Session]:
    """Talk about a result in plain words: ``session.say("merge violin and cello")``.

    Args:
        run: A run directory, or what `cluster` takes for images, which is then clustered first.
        criterion: For images, what to group by.
        quiet: Whether to show no progress on standard error.
        **settings: As for `cluster`, for images.

    Yields:
        A session: ``say(text)`` returns an answer with ``text``, ``changed`` and ``asked``;
        ``clustering()`` the result as it stands.

    Raises:
        agentclust.errors.AgentclustError: With what is wrong, why, and the next step.
    """
    from agentclust import service
    from agentclust.progress import Reporter

    folder = Path(run)
    if not (folder / "run.json").exists():
        folder = cluster(run, criterion=criterion, quiet=quiet, **settings).run
    with service.session(folder, Reporter(quiet=quiet)) as talk:
        yield talk


def __getattr__(name: str) -> Any:
    # a lazy import: `agentclust --help` should not wait for numpy
    if name == "Clustering":
        from agentclust.types import Clustering

        return Clustering
    raise AttributeError(name)
