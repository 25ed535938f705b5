"""What a person begins with and talks to: a model, criteria worth trying, a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentclust import datasets
from agentclust.config import RunConfig
from agentclust.errors import InputError
from agentclust.models import catalogue
from agentclust.progress import Reporter
from agentclust.run.opening import open_run
from agentclust.service import suggesting
from agentclust.service.running import METHODS
from agentclust.service.suggesting import Suggestion
from agentclust.sessions import Session
from agentclust.working import Models, asking, budget_of, working


def default_llm(method: str = "agent") -> str:
    """The language model to use where a person names none: the best one on this machine.

    Raises:
        InputError: There is none, and the method needs one.
    """
    best = catalogue.default_llm()
    if best is None and method not in METHODS:
        return "none"
    if best is None:
        raise InputError(
            "--llm",
            "no language model was named and none is on this machine",
            "run: agentclust models pull qwen2.5-coder-1.5b, or pass --llm openai:NAME",
        )
    return best


def suggest(config: RunConfig, reporter: Reporter | None = None) -> list[Suggestion]:
    """Criteria worth trying on the dataset of `config`; its own criterion is not looked at.

    Raises:
        AgentclustError: As its message says.
    """
    reporter = reporter or Reporter()
    with reporter.counted("read") as progress:
        dataset = datasets.load(config.dataset, progress)
    with asking(config, dataset.samples, Models(reporter)) as (llm, captioner, _):
        return suggesting.suggest(
            dataset.samples, llm, captioner, reporter, config.seed, config.prompts
        )


@contextmanager
def session(folder: Path, reporter: Reporter | None = None) -> Iterator[Session]:
    """A conversation about the result of a run; the run is held until it is closed.

    Args:
        folder: The run directory.
        reporter: Where progress goes.

    Raises:
        InputError: The folder is no run, or has no result yet.
    """
    reporter = reporter or Reporter()
    models = Models(reporter)
    with open_run(folder) as run, working(run, models, budget_of(run.config), reporter) as work:
        talk = Session(work)
        try:
            yield talk
        finally:
            talk.close()
