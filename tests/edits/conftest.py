from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentclust import edits, ictc
from agentclust.work import Work
from tests.edits.groupings import CAPTIONS
from tests.steps import captioned, opened


@pytest.fixture
def work(tmp_path) -> Iterator[Work]:
    with opened(tmp_path, captioned(*CAPTIONS), criterion="instrument", n_clusters=4) as work:
        for step in (ictc.caption, ictc.label, ictc.name, ictc.assign):
            step(work)
        yield work


@pytest.fixture
def grouping(work) -> edits.Grouping:
    return edits.grouping_of(work)
