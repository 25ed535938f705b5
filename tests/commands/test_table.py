"""The table of verbs, and what a model is told of it."""

import json

import pytest

from agentclust.commands import VERBS, Command, line, parse, schemas
from tests.commands.known import GROUPS, SAMPLES


@pytest.mark.parametrize("verb", VERBS)
def test_every_example_is_read_as_its_verb_and_written_again(verb):
    asked = parse(VERBS[verb].example, GROUPS, SAMPLES)
    assert asked.verb == verb
    assert VERBS[verb].usage.split()[0] == f"/{verb}"
    assert all(asked.args.values())
    assert json.loads(json.dumps(asked.args)) == asked.args
    assert parse(line(asked), GROUPS, SAMPLES) == asked


@pytest.mark.parametrize(
    "asked",
    [
        Command("merge", {"groups": ["acoustic guitar", "and"], "name": "salt, pepper as one"}),
        Command("rename", {"group": "salt and pepper", "name": 'the 12" one'}),
        Command("split", {"group": "the rest", "into": ["to", "in the city"]}),
        Command("move", {"samples": ["my photo.jpg", "a/b-c.png"], "group": "to"}),
        Command("use", {"groups": ["everything", "others"], "rest": True}),
        Command("tree", {"parent": "a: b", "children": ["x", "acoustic guitar"]}),
        Command("wrong", {"samples": ["these", "Ünïcode 1.jpg"]}),
        Command("by", {"criterion": "what people do, and where"}),
        Command("save", {"path": "my results/a.csv"}),
    ],
)
def test_a_command_with_awkward_names_is_written_so_that_it_reads_the_same(asked):
    assert parse(line(asked), GROUPS, SAMPLES) == asked


def test_the_tool_definitions_say_what_each_verb_takes():
    tools = {tool["function"]["name"]: tool["function"] for tool in schemas()}
    assert list(tools) == list(VERBS)
    assert tools["merge"] == {
        "name": "merge",
        "description": VERBS["merge"].help,
        "parameters": {
            "type": "object",
            "properties": {
                "groups": {
                    "description": "the groups to merge",
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 2,
                },
                "name": {
                    "description": "the new group's name; empty keeps a name",
                    "type": "string",
                    "default": "",
                },
            },
            "required": ["groups"],
            "additionalProperties": False,
        },
    }
    assert tools["groups"]["parameters"]["properties"]["n"]["type"] == "integer"
    assert tools["use"]["parameters"]["properties"]["rest"]["type"] == "boolean"
    assert [tool["function"]["name"] for tool in schemas(["undo", "by"])] == ["undo", "by"]
    assert all(tool["type"] == "function" for tool in schemas())


def test_only_the_verbs_that_look_leave_the_result_alone():
    look = {"show", "group", "why", "uncertain", "compare", "attempts", "history", "save",
            "report", "help", "quit"}  # fmt: skip
    assert {name for name, verb in VERBS.items() if not verb.edits} == look
