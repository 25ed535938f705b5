"""What the steps of a run share: the open run, its models, and why samples fell out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from agentclust.cache import Answers
from agentclust.captioners import Captioner
from agentclust.engines import Engine
from agentclust.engines.local import Local
from agentclust.models.asking import Asker
from agentclust.progress import Reporter
from agentclust.run import Run
from agentclust.types import Sample


@dataclass
class Work:
    """An open run with the parts that its steps use.

    Attributes:
        engine: Where embedders are.
        missing: For a sample that a step could not do, the reason, by id.
        person: Asks the person a question and returns the answer; None where nobody is there.
    """

    run: Run
    samples: tuple[Sample, ...]
    llm: Asker
    captioner: Captioner | Asker | None
    answers: Answers
    reporter: Reporter
    engine: Engine = field(default_factory=Local)
    missing: dict[str, str] = field(default_factory=dict)
    person: Callable[[str], str] | None = None

    @contextmanager
    def paying(self, step: str) -> Iterator[None]:
        """Enter what the models cost meanwhile under this step."""
        askers = [m for m in (self.llm, self.captioner) if isinstance(m, Asker)]
        for asker in askers:
            # not of `self`, which would keep the samples in memory in a circle
            asker.record = partial(self.run.record, step)
        yield
