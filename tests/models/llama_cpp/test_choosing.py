"""A choice is decoding under the options."""

from contextlib import closing

import llama_cpp
import numpy as np
import pytest

from agentclust.errors import InputError
from agentclust.models.gguf.turns import turns_of
from tests.models.llama_cpp.prompts import OPTIONS, PROMPTS, brute_force, evaluated, make

tiny_gguf = pytest.importorskip("tests.models.tiny_gguf", reason="the package gguf is missing")


@pytest.mark.parametrize("messages", PROMPTS[1:4])
def test_a_choice_is_decoding_under_the_options(tiny, messages):
    settings = {"n_ctx": 1024, "n_batch": 1024, "n_threads": 1, "n_threads_batch": 1}
    llama = llama_cpp.Llama(str(tiny), logits_all=True, verbose=False, **settings)
    with closing(make(tiny)) as model, closing(llama):
        (choice,) = model.choose([messages], OPTIONS)
        tokens = [t for part in model._template.parts(turns_of(messages)[0]) for t in part]

        def logits(path):
            llama.reset()
            llama.eval(path)
            return llama.scores[len(path) - 1]

        expected = brute_force(model, tokens, logits)
    assert choice.probabilities == pytest.approx(expected, abs=5e-3)
    assert sum(choice.probabilities) == pytest.approx(1)


def test_a_choice_counts_what_it_reads(model):
    model.invoke(PROMPTS[0], max_tokens=3)
    before = evaluated(model)
    (choice,) = model.choose([PROMPTS[0]], OPTIONS)
    usage = choice.usage
    assert usage.calls == 1
    new = usage.prompt_tokens - usage.cached_prompt_tokens
    assert evaluated(model) - before == new + usage.completion_tokens


def test_options_that_are_the_same_are_an_error(model):
    with pytest.raises(InputError, match="options 1 and 3"):
        model.choose([PROMPTS[0]], ["a", "b", "a"])


def test_the_logits_after_a_prompt_can_be_had_again(tiny, mmproj, tmp_path):
    def seen(model):
        model._eyes.read(model._template.text(turns_of(PROMPTS[0])[0]), [])

    def read(model):
        model._gguf.read(model._template.parts(turns_of(PROMPTS[0])[0]))

    for path, settings, reader in (
        (tiny, {}, read),
        (tiny_gguf.mamba(tmp_path / "mamba.gguf"), {}, read),
        (tiny, {"mmproj": mmproj}, seen),
    ):
        with closing(make(path, **settings)) as model:
            reader(model)
            first, after = model._gguf.logits(), model._gguf.logits([300, 301])
            assert not np.array_equal(first, after)
            assert np.array_equal(model._gguf.logits(), first)
            assert np.array_equal(model._gguf.logits([300, 301]), after)
