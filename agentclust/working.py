"""Going to work on an open run: its models loaded, its answer store open, its budget counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from agentclust.cache import Answers, home
from agentclust.captioners import Captioner
from agentclust.config import ModelConfig, RunConfig
from agentclust.engines import Engine
from agentclust.engines.local import Local
from agentclust.models.answering import Answerer
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.progress import Reporter
from agentclust.run import Run
from agentclust.types import Sample
from agentclust.work import Work


class Models:
    """Loaded models, shared by the runs of one call.

    Args:
        reporter: Where progress goes.
        engine: Where they are; by default in this process.
    """

    def __init__(self, reporter: Reporter, engine: Engine | None = None) -> None:
        self.engine, self._reporter = engine or Local(), reporter
        self._loaded: dict[str, Any] = {}

    def load(
        self, config: RunConfig, samples: Sequence[Sample]
    ) -> tuple[BaseChatModel | Answerer, Captioner | BaseChatModel | Answerer | None]:
        """The language model of a run, and what writes its captions where any are missing."""
        captioner = None
        if any(s.caption is None and s.raw_label is None for s in samples):
            captioner = self._captioner(config.vlm) or self._chat(config.vlm, config.seed)
        return self._chat(config.llm, config.seed), captioner

    def _chat(self, config: ModelConfig, seed: int) -> BaseChatModel | Answerer:
        known = f"{config.model_dump_json()} {seed}"
        if known not in self._loaded:
            with self._reporter.step(f"load {config.model}", 1):
                self._loaded[known] = self.engine.chat(config, seed)
        return self._loaded[known]  # type: ignore[no-any-return]

    def _captioner(self, config: ModelConfig) -> Captioner | None:
        if config.model not in self._loaded:
            self._loaded[config.model] = self.engine.captioner(config.model)
        return self._loaded[config.model]  # type: ignore[no-any-return]


def budget_of(config: RunConfig) -> Budget:
    """What the settings let a call spend."""
    return Budget(config.max_calls, config.max_tokens, config.max_seconds)


@contextmanager
def working(
    run: Run,
    models: Models,
    budget: Budget,
    reporter: Reporter,
) -> Iterator[Work]:
    """The work of a run.

    Args:
        run: The open run.
        models: Where its models are loaded.
        budget: What it may spend.
        reporter: Where progress goes.
    """
    samples = run.samples()
    file = None if run.config.cache else run.folder / "answers.sqlite"
    with asking(run.config, samples, models, budget, file) as (llm, captioner, answers):
        yield Work(run, samples, llm, captioner, answers, reporter, models.engine)


@contextmanager
def asking(
    config: RunConfig,
    samples: Sequence[Sample],
    models: Models,
    budget: Budget | None = None,
    file: Path | None = None,
) -> Iterator[tuple[Asker, Captioner | Asker | None, Answers]]:
    """The language model, what writes captions where any are missing, and the answer store.

    Args:
        config: The settings.
        samples: What is to be captioned.
        models: Where models are loaded.
        budget: What may be spent.
        file: The store of paid answers; by default the person's own.
    """
    model, eyes = models.load(config, samples)
    answers = Answers(file or home() / "answers.sqlite")
    try:
        llm = Asker(model, config.llm, answers, budget, config.seed)
        captioner = (
            Asker(eyes, config.vlm, answers, budget, config.seed)
            if isinstance(eyes, BaseChatModel | Answerer)
            else eyes
        )
        yield llm, captioner, answers
    finally:
        answers.close()
