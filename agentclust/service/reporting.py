"""Reports of runs that are there already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentclust.config import ModelConfig
from agentclust.errors import AgentclustError
from agentclust.pages import mapping, write_report
from agentclust.progress import Reporter
from agentclust.run.opening import open_run
from agentclust.work import Work
from agentclust.working import Models, asking

NOBODY = ModelConfig(model="none")  # embeddings need no language model


def report(folder: Path, reporter: Reporter | None = None) -> Path:
    """Write the report page of a run anew, with a map where it can have one.

    Raises:
        InputError: The folder is no run, or has no result yet.
        RunError: The page cannot be written.
    """
    reporter = reporter or Reporter()
    if not (folder / mapping.PLACES).exists() and (folder / "assignments.csv").exists():
        try:
            with unasked(folder, reporter) as work:
                mapping.keep(work)
        except AgentclustError as error:  # a page without a map is still a page
            reporter.say(f"no map: {error}")
    return write_report(folder)


@contextmanager
def unasked(folder: Path, reporter: Reporter) -> Iterator[Work]:
    """The work of a run whose models are not asked anything.

    Raises:
        RunError: Another process works on the run.
    """
    with open_run(folder) as run:
        config = run.config.model_copy(update={"llm": NOBODY})
        file = None if config.cache else folder / "answers.sqlite"
        with asking(config, (), Models(reporter), None, file) as (nobody, _, answers):
            yield Work(run, run.samples(), nobody, None, answers, reporter)
