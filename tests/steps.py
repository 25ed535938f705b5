"""An open run with a model, for tests of single steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from agentclust import ictc
from agentclust.cache import Answers
from agentclust.captioners import Captioner
from agentclust.config import make_config
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.progress import Reporter
from agentclust.run.opening import create
from agentclust.types import Dataset, Sample
from agentclust.work import Work

STEPS = (ictc.caption, ictc.label, ictc.name, ictc.assign)


@contextmanager
def opened(
    folder: Path,
    samples: Sequence[Sample],
    model: BaseChatModel | None = None,
    captioner: Captioner | None = None,
    **settings: Any,
) -> Iterator[Work]:
    """A new run over the samples, by shape into 2 clusters unless the settings say otherwise."""
    values = {"dataset": "test", "criterion": "shape", "n_clusters": 2, "llm": "fake"} | settings
    config = make_config(values)
    dataset = Dataset("test", tuple(samples), (), "")
    with (
        closing(Answers(folder / "answers.sqlite")) as answers,
        create(folder / "run", config, dataset) as run,
    ):
        llm = Asker(model or FakeModel(), config.llm, answers, Budget(config.max_calls))
        yield Work(run, run.samples(), llm, captioner, answers, Reporter(quiet=True))


def through(work: Work, *steps: Any) -> dict[str, Any]:
    """The assignments, once the run has gone through these steps, or through all."""
    for step in steps or STEPS:
        step(work)
    return work.run.step_rows("assignments").known


def captioned(*captions: str) -> list[Sample]:
    """Samples with these captions."""
    return [Sample(f"id{number}", caption=text) for number, text in enumerate(captions)]


def labelled(*labels: str) -> list[Sample]:
    """Samples with these raw labels."""
    return [Sample(f"id{number}", raw_label=text) for number, text in enumerate(labels)]


def calls(work: Work, step: str) -> int:
    """How many calls a step has made."""
    usage = work.run.usage().get(step)
    return usage.calls if usage else 0
