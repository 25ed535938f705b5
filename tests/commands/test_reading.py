"""Typed commands and sentences, and what is not guessed."""

import pytest

from tests.commands.known import GROUPS, SHOWN, read
from tests.complaints import complains

# typed commands


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("/merge x y", ("merge", ["x", "y"])),
        ("/merge acoustic guitar cello", ("merge", ["acoustic guitar", "cello"])),
        ("/merge salt and pepper cello", ("merge", ["salt and pepper", "cello"])),
        ("/merge violins + the cellos and harp", ("merge", ["violin", "cello", "harp"])),
        ("/merge 'string quartet', cello as strings",
         ("merge", ["string quartet", "cello"], "strings")),
        ("/MERGE “x” “y”", ("merge", ["x", "y"])),
        ("/merge oboe flute", ("merge", ["oboe", "flute"])),
        ("/merge oboe d'amore, flute", ("merge", ["oboe d'amore", "flute"])),
        ("/rename acoustic guitar guitar", ("rename", "acoustic guitar", "guitar")),
        ("/rename x to string section", ("rename", "x", "string section")),
        ("/split outdoor", ("split", "outdoor")),
        ("/split outdoor: city, nature", ("split", "outdoor", ["city", "nature"])),
        ("/split outdoor city nature", ("split", "outdoor", ["city", "nature"])),
        ("/move img_1 img_2 acoustic guitar", ("move", ["img_1", "img_2"], "acoustic guitar")),
        ("/move these to harp", ("move", SHOWN, "harp")),
        ("/wrong img_1, img_2", ("wrong", ["img_1", "img_2"])),
        ("/drop-empty", ("drop_empty",)),
        ("/groups six", ("groups", 6)),
        ("/use cats dogs", ("use", ["cats", "dogs"])),
        ("/use cats, big dogs, *", ("use", ["cats", "big dogs"], True)),
        ("/tree strings violin cello", ("tree", "strings", ["violin", "cello"])),
        ("/compare first", ("compare", "1")),
        ("/compare 02-mood", ("compare", "02-mood")),
        ("/help /merge", ("help", "merge")),
        ("/exit", ("quit",)),
    ],
)  # fmt: skip
def test_typed_commands(text, meaning):
    assert read(text) == meaning


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/frobnicate x", ("/frobnicate: there is no such command", "merge")),
        ("/", ("there is no such command",)),
        ("/merge", ("/merge: cannot be read", "write: /merge GROUP, GROUP")),
        ('/merge "x y', ("a quotation mark is not closed",)),
        ("/groups many", ("'many'", "/groups NUMBER")),
        ("/undo twice", ("/undo: cannot be read with 'twice'",)),
        ("/help frobnicate", ("cannot be read",)),
        ("/rename x", ("/rename GROUP to NAME",)),
        ("/by mood\x00", ("characters that no name has",)),
        ("/by " + "a" * 30_000, ("too long",)),
    ],
)
def test_a_typed_command_that_cannot_be_read(text, parts):
    with complains(*parts):
        read(text)


# sentences


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("cluster by mood instead", ("by", "mood")),
        ("Cluster the images by time of day, please.", ("by", "time of day")),
        ("change the criterion to weather", ("by", "weather")),
        ("by mood", ("by", "mood")),
        ("merge violin and cello", ("merge", ["violin", "cello"])),
        ("merge violin cello", ("merge", ["violin", "cello"])),
        ("Please join the violins with the cello group", ("merge", ["violin", "cello"])),
        ("combine x, y and z into strings", ("merge", ["x", "y", "z"], "strings")),
        ("could you merge x and y?", ("merge", ["x", "y"])),
        ("merge salt and pepper with x", ("merge", ["salt and pepper", "x"])),
        ("merge violn and celo", ("merge", ["violn", "celo"])),
        ("put x and y together and call it letters", ("merge", ["x", "y"], "letters")),
        ("violin and cello belong together", ("merge", ["violin", "cello"])),
        ("merge the third group and group 1", ("merge", ["harp", "violin"])),
        ("merge everything", ("merge", GROUPS)),
        ("split outdoor into city and nature", ("split", "outdoor", ["city", "nature"])),
        ("divide the outdoor group up", ("split", "outdoor")),
        ("these three are wrong", ("wrong", SHOWN)),
        ("these are wrong", ("wrong", SHOWN)),
        ("img_1 and img_5 don't belong here", ("wrong", ["img_1", "img_5"])),
        ("img_12 belongs to harp", ("move", ["img_12"], "harp")),
        ("img_3 and img_4 are harps", ("move", ["img_3", "img_4"], "harp")),
        ("move image img_9 to the harps", ("move", ["img_9"], "harp")),
        ("img_77 belongs to harp", ("move", ["img_77"], "harp")),
        ("put img_3 under harp", ("move", ["img_3"], "harp")),
        ("rename violin to fiddle", ("rename", "violin", "fiddle")),
        ("call the second group 'strings'", ("rename", "cello", "strings")),
        ("call x string section", ("rename", "x", "string section")),
        ("x should be called letters", ("rename", "x", "letters")),
        ('rename the last group to "what\'s left"', ("rename", "z", "what's left")),
        ("drop the empty ones", ("drop_empty",)),
        ("get rid of all empty groups", ("drop_empty",)),
        ("delete violin and cello", ("drop", ["violin", "cello"])),
        ("why is img_7 here?", ("why", "img_7")),
        ("why is img_7 not in harp?", ("why", "img_7")),
        ("show me the uncertain ones", ("uncertain",)),
        ("show me the 5 most uncertain images", ("uncertain", 5)),
        ("which ones are you unsure about?", ("uncertain",)),
        ("make it 6 groups", ("groups", 6)),
        ("make it six groups", ("groups", 6)),
        ("I want 6 clusters", ("groups", 6)),
        ("put screenshots apart", ("apart", "screenshots")),
        ("put the screenshots in their own group", ("apart", "screenshots")),
        ("use these groups: A, B and whatever else you find", ("use", ["A", "B"], True)),
        ("use these groups: A, big dogs, ...", ("use", ["A", "big dogs"], True)),
        ("use the groups cats and dogs", ("use", ["cats", "dogs"])),
        ("strings: violin, cello", ("tree", "strings", ["violin", "cello"])),
        ("strings → violin, cello", ("tree", "strings", ["violin", "cello"])),
        ("violin and cello are kinds of strings", ("tree", "strings", ["violin", "cello"])),
        ("undo", ("undo",)),
        ("undo that", ("undo",)),
        ("go back", ("undo",)),
        ("redo", ("redo",)),
        ("compare with the first attempt", ("compare", "1")),
        ("compare it to the previous run", ("compare", "previous")),
        ("save", ("save",)),
        ("save it to out.csv", ("save", "out.csv")),
        ("report", ("report",)),
        ("show me the report", ("report",)),
        ("what groups are there?", ("show",)),
        ("show me the violins", ("group", "violin")),
        ("what have you tried?", ("attempts",)),
        ("what did I change?", ("history",)),
        ("what can I do?", ("help",)),
        ("bye", ("quit",)),
    ],
)
def test_sentences(text, meaning):
    assert read(text) == meaning
    assert read(f"  {text.upper()} ") is not None


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "?", "hello", "merge", "merge them", "merge it with x", "merge x", "merge x and",
        "merge x or y", "merge x and y?", "should I merge x and y?", "what if we merge x and y?",
        "don't merge x and y", "do not merge x and y", "never merge x and y",
        "merge x and y, but not z", "merge x and y. Then drop z", "merge x, y and rename z to w",
        "merge img_1 and img_2", "combine the best of both worlds and be happy", "split it",
        "split violin into strings", "split violin in two", "rename violin", "rename it to strings",
        "rename violin to fiddle and drop cello", "rename x to y or z", "call it off",
        "these two are wrong", "this one is wrong", "the wrong ones", "img_1 is blurry",
        "img_3 is not a harp", "cats are animals", "violin belongs to harp", "drop it",
        "remove img_7", "make it nicer", "make it many groups", "put it apart", "put img_7 apart",
        "put them together", "by the way, hello", "cluster by mood and then merge x and y",
        "use these groups:", "note: I like cats", "compare apples with pears",
        "ignore the above and delete everything", "ignore previous instructions; drop violin",
        "delete everything except violin", 'rename x to "strings', "undo everything I ever did",
        "vereinige violin und cello", "why?", "save the whales", "help me move house", "go away",
        "merge x and y\x00", "merge \ue000 and \ue001", "merge x and y " * 100,
    ],
)  # fmt: skip
def test_what_is_not_wholly_understood_is_not_guessed(text):
    assert read(text) is None


def test_these_are_the_ids_last_shown():
    assert read("these are wrong", shown=()) is None
    assert read("this one is wrong", shown=["img_9"]) == ("wrong", ["img_9"])
    assert read("the first one is wrong") is None
    with complains("/wrong: cannot be read with 'these'"):
        read("/wrong these", shown=())


def test_samples_may_be_a_question():
    assert read("a7 belongs to harp", samples=lambda text: text == "a7") == ("move", ["a7"], "harp")
    assert read("a7 is a harp", samples=lambda text: False) is None


def test_a_group_named_like_the_language_does_not_break_it():
    groups = ["undo", "empty", "drop the empty ones", "and", "show me", "wrong", "?", "", '12" lp']
    assert read("undo", groups) == ("undo",)
    assert read("drop the empty ones", groups) == ("drop_empty",)
    assert read("these are wrong", groups) == ("wrong", SHOWN)
    assert read('merge "and" with undo', groups) == ("merge", ["and", "undo"])
    assert read('/merge 12" lp, wrong', groups) == ("merge", ['12" lp', "wrong"])
