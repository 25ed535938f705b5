"""README and --help are kept in step with the code, and its commands are ones that exist."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from agentclust.cli import cli
from agentclust.clusterers import load_clusterer
from agentclust.config import make_config
from agentclust.service.running import METHODS
from tests.readme import README, written

TEXT = README.read_text("utf-8")
COMMANDS = re.findall(r"^\$ (?:\S*/)?(agentclust .+)$", TEXT, re.MULTILINE)
PAGES = [page.read_text("utf-8") for page in sorted((README.parent / "examples").glob("*.md"))]
TOLD = [line for page in PAGES for line in re.findall(r"`(agentclust \w+ [^`]+)`", page)]


def test_generated_parts_are_what_the_code_says() -> None:
    assert written(TEXT) == TEXT, "run: python -m tests.readme"


def test_every_generated_part_is_there() -> None:
    assert TEXT.count("<!-- /") == 4


def test_the_pages_have_commands() -> None:
    assert len(TOLD) > 30


@pytest.mark.parametrize("line", [*COMMANDS, *dict.fromkeys(TOLD)])
def test_commands_parse(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="agentclust")
    while isinstance(command, click.Group):
        name = words.pop(0)
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
    given = command.make_context(name, words, parent=context).params
    settings = given.get("settings") or ()
    if settings and name == "run":
        known = {"dataset": "x", "criterion": "c", "llm": "none", "n_clusters": 10}
        config = make_config(known | {"method": given["method"] or "agent"}, settings)
        clusterer = config.clusterer if config.method in METHODS else config.method
        load_clusterer(clusterer, 10, 0, config.clusterer_settings)


def test_python_lines_run_on_the_public_names() -> None:
    import agentclust

    block = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert block
    compile(block[1], "README.md", "exec")
    for name in re.findall(r"agentclust\.(\w+)", block[1]):
        assert hasattr(agentclust, name)
    for name in re.findall(r"result\.(\w+)", block[1]):
        assert name in agentclust.Clustering.__annotations__ or hasattr(agentclust.Clustering, name)


def test_make_targets_exist() -> None:
    makefile = (README.parent / "Makefile").read_text("utf-8")
    for target in re.findall(r"^\$ make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
