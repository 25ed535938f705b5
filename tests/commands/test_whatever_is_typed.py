"""No text is too odd or too long."""

import random
import string
import time

import pytest

from agentclust.commands import VERBS, check, complete, line, parse
from agentclust.errors import InputError
from tests.commands.known import GROUPS, SAMPLES, SHOWN

LANGUAGE = "merge split into and to as with call the second group use these why is here put apart"
HOSTILE = [*":,+'\"/([\\*?!é💥ﬁ١", "...", "\x00", "\u202e", "\ud800", "\ue000", "under"]


def test_no_text_raises_anything_but_an_input_error():
    rng = random.Random(0)
    words = [*GROUPS, *SHOWN, *(f"/{verb}" for verb in VERBS), *LANGUAGE.split(), *HOSTILE]
    outcomes = {"command": 0, "none": 0, "error": 0}
    complaints = []
    for _ in range(4000):
        if rng.random() < 0.8:
            text = rng.choice([" ", "", ", "]).join(rng.choices(words, k=rng.randint(1, 8)))
        else:
            text = "".join(rng.choices(string.printable + "äß“”’\u200b", k=rng.randint(1, 40)))
        text = ("/" + text) if rng.random() < 0.2 else text
        complete(text, GROUPS, SAMPLES)
        try:
            asked = parse(text, GROUPS, SAMPLES, SHOWN)
            if asked is not None:
                result = check(asked, GROUPS, SAMPLES)
                assert parse(line(result), GROUPS, SAMPLES, SHOWN) == result, text
        except InputError as problem:
            outcomes["error"] += 1
            complaints.append(str(problem))
        else:
            outcomes["command" if asked else "none"] += 1
    assert not any("\n" in complaint for complaint in complaints)
    assert min(outcomes.values()) > 50, outcomes


@pytest.mark.parametrize(
    "text",
    [
        "merge " + "with " * 118,
        "/merge " + "as " * 6000,
        "/merge " + "violin, " * 2400,
        "/merge " + "acoustic " * 2000,
        "/move " + "img_1 " * 3000 + "harp",
        "/use " + "'" * 15000,
        "use these groups: " + "and " * 140,
        "put " + "to " * 190,
        "(" * 10_000,
        "/rename " + '"x" ' * 4900,
        "a" * 1_000_000,
    ],
)
def test_a_long_line_is_answered_at_once(text):
    groups = [f"group {i} and {i + 1}" for i in range(40)] + GROUPS
    ids = [f"folder/{i}.jpg" for i in range(1000)] + SAMPLES
    start = time.perf_counter()
    try:
        asked = parse(text, groups, ids, SHOWN)
        if asked:
            check(asked, groups, ids)
    except InputError:
        pass
    assert time.perf_counter() - start < 1
