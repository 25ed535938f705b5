"""What a run may spend: calls, tokens and seconds."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from agentclust.config import make_model_config
from agentclust.errors import BudgetSpent
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.types import Request, Usage
from tests.complaints import complains


def test_without_limits_nothing_is_ever_spent():
    budget = Budget()
    budget.spend(10**9)
    budget.add(Usage(1, 10**12, 0, 10**12, 10**6))
    budget.spend()


def test_calls():
    budget = Budget(max_calls=3)
    budget.spend(2)
    with complains(
        "max_calls=3: the budget of model calls is spent; resume the run with a larger --max-calls",
        kind=BudgetSpent,
    ):
        budget.spend(2)
    budget.spend()  # what did not fit has taken nothing
    with pytest.raises(BudgetSpent):
        budget.spend()


def test_tokens_are_those_read_and_written_without_the_cached_ones():
    budget = Budget(max_tokens=10)
    budget.spend()
    budget.add(Usage(1, prompt_tokens=100, cached_prompt_tokens=95, completion_tokens=4))
    budget.spend()
    budget.add(Usage(1, prompt_tokens=1))
    with complains(
        "max_tokens=10: the budget of model tokens is spent",
        "resume the run with a larger --max-tokens",
        kind=BudgetSpent,
    ):
        budget.spend()


def test_seconds_count_from_the_beginning():
    budget = Budget(max_seconds=0.2)
    budget.spend(100)
    time.sleep(0.25)
    with complains("max_seconds=0.2: the budget", "--max-seconds", kind=BudgetSpent):
        budget.spend()


def test_the_first_limit_that_is_reached_stops():
    budget = Budget(max_calls=100, max_tokens=5, max_seconds=1000)
    budget.spend()
    budget.add(Usage(1, 5))
    with pytest.raises(BudgetSpent, match="max_tokens=5"):
        budget.spend()


@pytest.fixture
def hasty():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def side_by_side(work, threads=8):
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def test_threads_never_spend_a_call_too_many(hasty):
    budget, spent = Budget(max_calls=500), []

    def work():
        for _ in range(200):
            try:
                budget.spend()
                spent.append(1)
            except BudgetSpent:
                return

    side_by_side(work)
    assert len(spent) == 500


def test_threads_lose_no_token(hasty):
    budget = Budget(max_tokens=8 * 500 + 1)

    def work():
        for _ in range(500):
            budget.add(Usage(1, prompt_tokens=3, cached_prompt_tokens=3, completion_tokens=1))

    side_by_side(work)
    budget.spend()
    budget.add(Usage(1, 1))
    with pytest.raises(BudgetSpent):
        budget.spend()


def test_a_model_is_not_asked_beyond_it():
    told: list[Usage] = []
    model = make_model_config("fake")
    requests = [Request("Say the last word.", f"number {i} is a violin") for i in range(20)]
    asker = Asker(FakeModel(), model, budget=Budget(max_tokens=30), record=told.append)
    with pytest.raises(BudgetSpent, match="max_tokens=30"):
        list(asker.complete(requests, 5))
    costs = [usage.prompt_tokens + usage.completion_tokens for usage in told]
    assert sum(costs[:-1]) < 30 <= sum(costs)
