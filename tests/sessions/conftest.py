from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentclust.sessions import Session
from agentclust.work import Work
from tests.edits.groupings import CAPTIONS
from tests.sessions.talking import finish
from tests.steps import captioned, opened


@pytest.fixture
def work(tmp_path) -> Iterator[Work]:
    with opened(
        tmp_path, captioned(*CAPTIONS), criterion="instrument", n_clusters=4, embedder="tfidf"
    ) as work:
        finish(work)
        yield work


@pytest.fixture
def session(work) -> Session:
    return Session(work)
