"""Captions and their groups, and how a run is opened again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from agentclust import edits
from agentclust.cache import Answers
from agentclust.models.absent import Absent
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.progress import Reporter
from agentclust.run.opening import open_run
from agentclust.work import Work

CAPTIONS = (
    "a violin",  # id0
    "a cello",
    "a harp",
    "a violin",
    "a harp beside a cello",  # labelled cello
    "a city outdoor",  # id5
    "a wood outdoor",
    "nobody knows outdoor",
    "a screenshot with a violin",
)
NAMES = ("cello", "harp", "outdoor", "violin")


def names(grouping: edits.Grouping) -> list[str]:
    """The group of each sample, in the order of the samples."""
    return [row["name"] for row in grouping.rows.values()]


def is_sound(grouping: edits.Grouping) -> bool:
    """Whether each row's cluster is the index of its name."""
    return all(
        row["name"] == (grouping.names[row["cluster"]] if row["cluster"] >= 0 else "")
        for row in grouping.rows.values()
    )


def answered_by(work: Work, model: FakeModel) -> None:
    work.llm = Asker(model, work.run.config.llm, work.answers, Budget())


@contextmanager
def reopened(work: Work, model: Absent | FakeModel, cached: bool = True) -> Iterator[Work]:
    """The run as another process would open it."""
    work.run.__exit__()
    store = work.run.folder.parent / ("answers.sqlite" if cached else "new.sqlite")
    with closing(Answers(store)) as answers, open_run(work.run.folder) as run:
        llm = Asker(model, run.config.llm, answers, Budget())
        yield Work(run, run.samples(), llm, None, answers, Reporter(quiet=True))


UNDO, REDO = {"edit": "undo"}, {"edit": "redo"}
