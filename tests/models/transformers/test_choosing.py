"""A choice is decoding under the options, token by token."""

import pytest

from agentclust.errors import InputError
from tests.models.tiny import make_mistral
from tests.models.transformers.prompts import OPTIONS, USERS, ask, load, show
from tests.models.transformers.references import constrained, image_reference, text_reference


def test_choices_are_those_of_decoding_token_by_token(llama, text_model):
    reference = text_reference(llama)
    choices = text_model.choose([ask(user) for user in USERS], OPTIONS)
    for user, choice in zip(USERS, choices, strict=True):
        ids, extra = reference[2](user)
        expected = constrained(*reference[:2], ids, extra, OPTIONS)
        assert choice.probabilities == pytest.approx(expected, abs=1e-4)
        assert sum(choice.probabilities) == pytest.approx(1)
        assert choice.usage.prompt_tokens == ids.shape[1]  # read once, however many nodes


def test_choices_over_images_are_those_of_decoding_token_by_token(llava, image_model):
    reference = image_reference(llava)
    shown = [("red", USERS[0]), ("white", USERS[1])]
    choices = image_model.choose([show(*one) for one in shown], OPTIONS)
    for one, choice in zip(shown, choices, strict=True):
        ids, extra = reference[2](*one)
        expected = constrained(*reference[:2], ids, extra, OPTIONS)
        assert choice.probabilities == pytest.approx(expected, abs=1e-4)
        assert choice.usage.prompt_tokens == ids.shape[1]


def test_a_cache_that_cannot_be_continued_is_not(tmp_path):
    folder = make_mistral(tmp_path, sliding_window=12)
    reference, model = text_reference(folder), load(folder)
    choices = model.choose([ask(user) for user in USERS], OPTIONS)
    for user, choice in zip(USERS, choices, strict=True):
        ids, extra = reference[2](user)
        expected = constrained(*reference[:2], ids, extra, OPTIONS)
        assert choice.probabilities == pytest.approx(expected, abs=1e-4)
        assert choice.usage.prompt_tokens == 3 * ids.shape[1]  # options part at three places
        assert choice.usage.cached_prompt_tokens == 0


def test_a_choice_does_not_depend_on_its_neighbours(text_model):
    prompts = [ask(user) for user in USERS]
    together = text_model.choose(prompts, OPTIONS)
    for prompt, choice in zip(prompts, together, strict=True):
        alone = text_model.choose([prompt], OPTIONS)[0]
        assert alone.probabilities == pytest.approx(choice.probabilities, abs=1e-5)


def test_one_option_is_certain_and_no_prompt_needs_no_answer(text_model):
    assert text_model.choose([ask("?")], ["red"])[0].probabilities == (1.0,)
    assert text_model.choose([], OPTIONS) == []
    with pytest.raises(InputError, match="same tokens"):
        text_model.choose([ask("?")], ["red", "red"])


def test_all_options_may_begin_alike(llama, text_model):
    options = ["red car", "red bird"]
    reference = text_reference(llama)
    ids, extra = reference[2]("?")
    expected = constrained(*reference[:2], ids, extra, options)
    assert text_model.choose([ask("?")], options)[0].probabilities == pytest.approx(
        expected, abs=1e-4
    )
