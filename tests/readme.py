"""The parts of README.md that follow from the code; ``python -m tests.readme`` writes them."""

from __future__ import annotations

import re
from pathlib import Path

import click
from pydantic_core import PydanticUndefined

from agentclust import plugins
from agentclust.cli import cli
from agentclust.config import ModelConfig, RunConfig
from agentclust.datasets.recipe import Recipe
from agentclust.models.catalogue import entries

README = Path(__file__).parents[1] / "README.md"


def written(text: str) -> str:
    """The README's text with every generated part as the code says now."""
    parts = {
        "help: run": _help("run"),
        "settings": _settings(),
        "models": _models(),
        "datasets": _datasets(),
    }
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        pattern = re.compile(re.escape(begin) + r"(?:.*?" + re.escape(end) + ")?", re.DOTALL)
        text = pattern.sub(lambda _, new=f"{begin}\n{part}\n{end}": new, text, count=1)
    return text


def _help(command: str) -> str:
    context = click.Context(cli, info_name="agentclust", terminal_width=96, max_content_width=96)
    child = click.Context(
        cli.commands[command], context, command, terminal_width=96, max_content_width=96
    )
    return f"```text\n{cli.commands[command].get_help(child)}\n```"


def _settings() -> str:
    rows = ["| setting | default | |", "|---|---|---|"]
    for name, field in (RunConfig.model_fields | ModelConfig.model_fields).items():
        if field.description:
            default = "" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
            rows.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(rows)


def _models() -> str:
    rows = ["| model | role | size | licence | |", "|---|---|---|---|---|"]
    for name, entry in entries().items():
        size = f"{entry.size / 1e9:.1f} GB" if entry.size else ""
        tried = "" if entry.verified else "; not tried here"
        rows.append(f"| `{name}` | {entry.role} | {size} | {entry.licence} | {entry.note}{tried} |")
    return "\n".join(rows)


def _datasets() -> str:
    rows = ["| dataset | | splits | its name stands for |", "|---|---|---|---|"]
    for name in plugins.BUILT_IN["datasets"]:
        recipe = plugins.find("datasets", name)
        if isinstance(recipe, Recipe):
            about = (recipe.about, ", ".join(recipe.splits) or "all there are", recipe.default)
        else:
            about = ("pictures drawn here, by texture, shape, colour and count", "", "all")
        rows.append(f"| `{name}` | {' | '.join(about)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    README.write_text(written(README.read_text("utf-8")), "utf-8")
