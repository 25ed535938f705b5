"""A command is checked against what there is."""

import pytest

from agentclust.commands import Command, check, parse
from agentclust.errors import InputError
from tests.commands.known import GROUPS, SAMPLES, SHOWN
from tests.complaints import check as complains_about
from tests.complaints import complains


def checked(text, groups=GROUPS, samples=SAMPLES, shown=SHOWN):
    result = check(parse(text, groups, samples, shown), groups, samples)
    assert check(result, groups, samples) == result
    return list(result.args.values())


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("/merge VIOLINS, aco", [["violin", "acoustic guitar"], ""]),
        ("/merge x, y, X as y", [["x", "y"], "y"]),
        ("/rename violin Violin", ["violin", "Violin"]),
        ("/split outdoor outdoor nature", ["outdoor", ["outdoor", "nature"]]),
        ("/move IMG_1, img_77, img_1 to harps", [["img_1", "sub/img_77.jpg"], "harp"]),
        ("/why other/twin", ["other/twin.png"]),
        ("/use Violin, dogs", [["violin", "dogs"], False]),
        ("/tree Strings: violins, cello", ["Strings", ["violin", "cello"]]),
        ("/uncertain", [10]),
        ("/compare", [""]),
        ("/split outdoor", ["outdoor", []]),
    ],
)
def test_names_are_spelt_as_they_exist(text, args):
    assert checked(text) == args


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/merge oboe, x", ("oboe: there is no such group; the groups are: violin, cello",)),
        ("/merge violn, x", ("violn: there is no such group; did you mean violin?",
                             "the groups are: violin")),
        ("/merge x, X", ("at least 2 are needed, and 1 is given",)),
        ("merge everything", ("every group", "nothing would be left")),
        ("/merge x, y as Violin", ("violin: is another group; merge it too",)),
        ("/merge x, y as Unassigned", ("what samples in no group are called",)),
        ("/rename x Y", ("is another group; merge instead: /merge x, y",)),
        ("/rename x x", ("already",)),
        ("/rename x 'none of these'", ("choose another name",)),
        ("/rename x " + "a" * 61, ("at most 60 characters, and this has 61",)),
        ("/rename x to ''", ("holds no word",)),
        ('/rename x ""', ("holds no word",)),
        ("/rename x '...'", ("holds no word",)),
        ("/rename x \u202ereversed", ("control character",)),
        ("/split outdoor city", ("at least 2 are needed, and 1 is given",)),
        ("/split outdoor city Violin", ("Violin: is another group",)),
        ("/groups 1", ("1: is less than 2",)),
        ("/groups -3", ("-3: is less than 2",)),
        ("/groups 63", ("there are 62 samples",)),
        ("/uncertain 0", ("is less than 1",)),
        ("/why img_999", ("img_999: there is no such sample; did you mean img_",)),
        ("/why nowhere", ("there is no such sample; ids look like img_1",)),
        ("/why twin", ("could be sub/twin.png or other/twin.png",)),
        ("/move img_1 to oboe", ("there is no such group",)),
        ("/drop everything", ("none would be left",)),
        ("/use cats", ("one group tells nothing apart",)),
        ("/tree violin: violin, cello", ("cannot be under itself",)),
        ("/by " + "a" * 501, ("longer than 500 characters",)),
        ("/by ?!", ("holds no word",)),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(text, parts):
    with complains(*parts):
        checked(text)


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        (Command("explode", {}), ("/explode: there is no such command",)),
        (Command("wrong", {}), ("/wrong: lacks the ids",)),
        (Command("wrong", {"samples": []}), ("at least 1",)),
        (Command("why", {}), ("lacks",)),
        (Command("why", {"sample": None}), ("lacks",)),
        (Command("why", {"sample": ""}), ("'': there is no such sample",)),
        (Command("merge", {"groups": "x, y"}), ("of another kind",)),
        (Command("merge", {"groups": ["x", 1]}), ("of another kind",)),
        (Command("merge", {"groups": ["x", "y"], "force": True}), ("force: /merge takes no such",)),
        (Command("groups", {"n": True}), ("of another kind",)),
        (Command("groups", {"n": "6"}), ("of another kind",)),
        (Command("use", {"groups": ["x", "y"], "rest": 0}), ("of another kind",)),
        (Command("rename", {"group": "x", "name": "a\x1b[2Jb"}), ("control character",)),
        (Command("rename", {"group": "x\x1b[2J\n" * 50, "name": "b"}), ("no such group",)),
        (Command("help", {"verb": "explode"}), ("no such command",)),
    ],
)
def test_a_models_bad_call_is_refused(asked, parts):
    with pytest.raises(InputError) as caught:
        check(asked, GROUPS, SAMPLES)
    complains_about(str(caught.value), *parts)
    assert "\x1b" not in str(caught.value)


def test_checking_changes_neither_the_command_nor_the_table():
    asked = Command("merge", {"groups": ["VIOLIN", "cello"], "name": None})
    first = check(asked, GROUPS, SAMPLES)
    assert asked.args == {"groups": ["VIOLIN", "cello"], "name": None}
    assert first.args == {"groups": ["violin", "cello"], "name": ""}
    check(Command("split", {"group": "x"}), GROUPS, SAMPLES).args["into"].append("y")
    assert check(Command("split", {"group": "x"}), GROUPS, SAMPLES).args["into"] == []


def test_without_groups_or_samples():
    with complains("there are no groups yet"):
        check(Command("group", {"group": "x"}), [], [])
    with complains("there are no samples yet"):
        check(Command("why", {"sample": "x"}), [], [])
    with complains("every group"):
        check(Command("merge", {"groups": ["x", "y"]}), ["x", "y"], ["1"])
