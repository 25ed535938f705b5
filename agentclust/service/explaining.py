"""Explaining why images of a finished run are where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentclust import explaining
from agentclust.config import ModelConfig
from agentclust.explaining import Explained
from agentclust.explaining.writing import write
from agentclust.pages import write_report
from agentclust.progress import Reporter
from agentclust.run.opening import open_run
from agentclust.work import Work
from agentclust.working import Models, asking, budget_of, working

NOBODY = ModelConfig(model="none")


def explain(
    folder: Path,
    images: Sequence[str] = (),
    ask: bool = False,
    reporter: Reporter | None = None,
    most: int = explaining.MOST,
) -> tuple[Explained, Path]:
    """Explain why images of a run are where they are, and keep it in the run's folder ``explain``.

    The result stays as it is; a report page that is there is written anew, with the explanations.

    Args:
        folder: The run directory.
        images: Which, by id or by the path of the file, or by the end of either; by default the
            prototypes of each cluster, the most confident and the most central members, and its
            most doubtful one.
        ask: Whether to tell the language model's probabilities, too: answers that were paid for
            cost nothing, and what is asked counts against the run's limits.
        reporter: Where progress goes.
        most: How many at most, where none are named.

    Returns:
        The explanations, and the page that shows them.

    Raises:
        InputError: As `agentclust.explaining.explain`.
        RunError: Another process works on the run, or its folder cannot be written.
    """
    reporter = reporter or Reporter()
    with open_run(folder) as run:
        models = Models(reporter)
        if ask:
            with working(run, models, budget_of(run.config), reporter) as work:
                found = explaining.explain(work, images, most)
        else:
            config = run.config.model_copy(update={"llm": NOBODY})
            file = None if config.cache else folder / "answers.sqlite"
            with asking(config, (), models, None, file) as (nobody, _, answers):
                work = Work(run, run.samples(), nobody, None, answers, reporter)
                found = explaining.explain(work, images, most)
        page = write(folder, found)
        if (folder / "report.html").exists():
            write_report(folder)
    return found, page
