"""What a run is said to cost beforehand, and what it costs."""

from __future__ import annotations

import pytest

from agentclust import agent
from agentclust.config import ModelConfig, make_config
from agentclust.service.estimate import estimate
from agentclust.types import Sample
from tests.pictures import draw
from tests.steps import captioned, labelled, opened
from tests.test_paper import STEPS as PUBLISHED
from tests.test_paper import Paper

FABRICS = ("silk", "linen", "denim", "canvas", "velvet", "tweed", "satin", "felt", "lace", "tulle",
           "flannel", "corduroy", "chiffon", "muslin", "gauze")  # fmt: skip
WORN = captioned(*(f"In picture {i} somebody wears {FABRICS[i % 15]}." for i in range(200)))


def config(**settings):
    values = {"dataset": "worn", "criterion": "kind of fabric", "n_clusters": 5, "llm": "fake"}
    return make_config(values | {"embedder": "tfidf"} | settings)


@pytest.mark.parametrize("k", [5, 12])
def test_a_run_makes_about_as_many_calls(tmp_path, k):
    said = estimate(config(n_clusters=k), WORN, sees=False).calls
    how = {"criterion": "kind of fabric", "n_clusters": k, "method": "ictc", "embedder": "tfidf"}
    with opened(tmp_path, WORN, **how) as work:
        agent.in_fixed_order(work)
        made = sum(usage.calls for usage in work.run.usage().values())
    assert made > 200
    assert 1 / 1.5 < said / made < 1.5


def test_exemplars_cost_as_much_as_they_are_said_to(tmp_path):
    said = estimate(config(embedder="minilm"), WORN, sees=False)
    how = {"criterion": "kind of fabric", "n_clusters": 5, "method": "ictc", "embedder": "minilm"}
    with opened(tmp_path, WORN, **how) as work:
        agent.in_fixed_order(work)
        made = sum(usage.calls for usage in work.run.usage().values())
    assert made < 20
    assert 1 / 2 < said.calls / made < 2


def test_the_published_procedure_costs_what_its_own_prompts_do(tmp_path):
    said = estimate(config(mode="paper"), WORN, sees=False)
    how = {"criterion": "kind of fabric", "n_clusters": 5, "mode": "paper", "paper_min_count": 0}
    with opened(tmp_path, WORN, Paper(categories=FABRICS[:5]), **how) as work:
        for step in PUBLISHED:
            step(work)
        usages = work.run.usage().values()
    assert 1 / 1.2 < said.calls / sum(u.calls for u in usages) < 1.2
    words = sum(u.prompt_tokens for u in usages)  # the fake model counts words, 1.3 tokens each
    assert 1 / 1.5 < said.read / (1.3 * words) < 1.5


def test_given_raw_labels_cost_no_call_of_the_label_step():
    samples = labelled(*FABRICS * 10)
    asked = captioned(*FABRICS * 10)
    saved = estimate(config(), asked, False).calls - estimate(config(), samples, False).calls
    assert saved == 150


def test_only_a_model_that_sees_is_asked_for_captions(tmp_path):
    images = [Sample(f"id{i}", draw(tmp_path / f"{i}.png"), f"{i}", (12, 8)) for i in range(20)]
    seeing, measuring = (estimate(config(), images, sees) for sees in (True, False))
    assert seeing.calls - measuring.calls == 20
    assert seeing.read - measuring.read > 20 * 576  # the patches of an image
    assert seeing.written > measuring.written
    assert estimate(config(), WORN, True) == estimate(config(), WORN, False)


def test_longer_captions_are_more_to_read():
    longer = [Sample(s.id, caption=f"{s.caption} {'It is soft. ' * 40}") for s in WORN]
    short, long = estimate(config(), WORN, False), estimate(config(), longer, False)
    assert long.calls == short.calls
    assert long.read - short.read >= 200 * 480 // 4


PRICED = ModelConfig(model="openai:some", prompt_price=2.0, completion_price=8.0)


def test_prices_give_dollars():
    found = estimate(config(llm=PRICED), WORN, False)
    assert found.dollars == pytest.approx((2 * found.read + 8 * found.written) / 1e6)
    assert f", about ${found.dollars:.2f}" in str(found)


def test_each_model_has_its_price(tmp_path):
    images = [Sample(f"id{i}", draw(tmp_path / f"{i}.png"), f"{i}", (12, 8)) for i in range(50)]
    dear = PRICED.model_copy(update={"prompt_price": 200.0, "completion_price": 800.0})
    both = estimate(config(llm=PRICED, vlm=dear), images, True)
    words = estimate(config(llm=PRICED, vlm=dear), images, False)
    seen = 200 * (both.read - words.read) + 800 * (both.written - words.written)
    assert both.dollars - words.dollars == pytest.approx(seen / 1e6)


def test_unknown_prices_give_no_dollars(tmp_path):
    images = [Sample("id0", draw(tmp_path / "0.png"), "0", (12, 8))]
    half = ModelConfig(model="openai:some", prompt_price=2.0)
    for llm in ("fake", half):
        found = estimate(config(llm=llm), WORN, False)
        assert found.dollars is None
        assert "$" not in str(found)
    unpriced_eyes = config(llm=PRICED, vlm="openai:eyes")
    assert estimate(unpriced_eyes, images, True).dollars is None
    assert estimate(unpriced_eyes, WORN, True).dollars is not None  # it is not asked


def test_it_claims_no_more_than_two_digits():
    found = estimate(config(), WORN, False)
    number = str(found).removeprefix("about ").partition(" model calls")[0].replace(",", "")
    assert len(number.rstrip("0")) <= 2
    assert abs(int(number) - found.calls) <= found.calls / 20
