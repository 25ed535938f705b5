"""Options told apart by the probabilities of tokens."""

import pytest

from agentclust.models.logprobs import distribution


def token(text, logprob, *others):
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in [(text, logprob), *others]]
    return top[0] | {"top_logprobs": top}


def test_options_that_share_tokens_are_told_apart():
    text = '{"answer": "light red"}'
    tokens = [
        token('{"', -3.0),
        token('answer": "', 0.0),
        token("light", -0.51083, ("dark", -0.91629), ("The", -0.1)),  # .6 .4, others not options
        token(" red", -0.28768, (" blue", -1.38629)),  # .75 .25
        token('"}', -5.0),
    ]
    options = ["light red", "light blue", "dark red", "dark blue", "grey"]
    span = (text.index("light"), text.index('"}'))
    told = distribution(tokens, text, span, options)
    assert told == pytest.approx((0.45, 0.15, 0.2, 0.2, 0.0), abs=1e-4)


def test_an_option_that_begins_another_is_told_apart_by_the_closing_quote():
    text = '{"answer": "red"}'
    tokens = [token('{"answer": "', 0.0), token("red", 0.0), token('"}', -0.10536, (" wine", -2.3))]
    told = distribution(tokens, text, (12, 15), ["red", "red wine"])
    assert told == pytest.approx((0.9, 0.1), abs=1e-3)


def test_tokens_of_a_few_bytes_of_a_character():
    text = '{"answer": "赤"}'
    first, rest = "赤".encode()[:1], "赤".encode()[1:]
    tokens = [token('{"answer": "', 0.0), token("?", 0.0), token("?", 0.0), token('"}', 0.0)]
    tokens[1]["bytes"], tokens[2]["bytes"] = list(first), list(rest)
    assert distribution(tokens, text, (12, 13), ["青", "赤"]) == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize("tokens", [[], [token("something else", 0.0)]])
def test_tokens_that_are_not_the_text_tell_nothing(tokens):
    assert distribution(tokens, '{"answer": "red"}', (12, 15), ["red", "blue"]) is None
