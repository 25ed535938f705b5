"""What a person is told: one line with the value, the reason and the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentclust.errors import AgentclustError, InputError


@contextmanager
def complains(*parts: str, kind: type[AgentclustError] = InputError) -> Iterator[None]:
    """Expect an error of this very kind whose line holds these parts."""
    with pytest.raises(AgentclustError) as caught:
        yield
    assert type(caught.value) is kind, repr(caught.value)
    check(str(caught.value), *parts)


def check(line: str, *parts: str) -> None:
    """Check that a line has the three things, and these parts among them."""
    assert "\n" not in line
    what, _, rest = line.partition(": ")
    why, _, todo = rest.rpartition("; ")
    assert what.strip(), line
    assert why.strip(), line
    assert todo.strip(), line
    for part in parts:
        assert part in line, line
