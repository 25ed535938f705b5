"""What completion offers."""

import pytest

from agentclust.commands import complete
from tests.commands.known import GROUPS, SAMPLES


@pytest.mark.parametrize(
    ("text", "completions"),
    [
        ("/me", ["/merge"]),
        ("/drop", ["/drop", "/drop_empty"]),
        ("/merge vio", ["violin"]),
        ("/merge violin, aco", ['"acoustic guitar"']),
        ('/merge "acoustic g', ['"acoustic guitar"']),
        ("/why img_5", ["img_5", *(f"img_{i}" for i in range(50, 60))]),
        ("/why twin", ["sub/twin.png", "other/twin.png"]),
        ("/help com", ["compare"]),
        ("/undo ", []),
        ("/nosuch v", []),
        ("join the vio", ["violin"]),
        ("join the ", []),
        ("", []),
    ],
)
def test_completions(text, completions):
    assert complete(text, GROUPS, SAMPLES) == completions


def test_completion_offers_all_groups_after_a_verb_and_never_floods():
    assert len(complete("/merge ", GROUPS, SAMPLES)) == len(GROUPS)
    assert len(complete("/wrong ", GROUPS, [str(i) for i in range(10_000)])) == 100
