"""The command that tells why images are where they are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agentclust.cli.root import EXISTING, cli


@cli.command()
@click.argument("run", type=EXISTING)
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option(
    "--ask",
    is_flag=True,
    help="Tell the language model's probabilities, too; what it was asked before costs nothing.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    metavar="N",
    help="Images at most where none are named, shared out among the clusters.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(run: Path, images: tuple[str, ...], ask: bool, limit: int, as_json: bool) -> None:
    """Say why each IMAGE of RUN is where it is, and draw where in it the evidence lies.

    An IMAGE is an id or the path of the file, or the end of either; without any the
    prototypes of each cluster are taken, its most confident and its most central members, and
    its most doubtful one. Runs with captions get the words that decided, others heat maps; both
    the nearest images. All of it goes into the run's folder "explain", with a page, and into its
    report.
    """
    from agentclust import explaining, service

    told = []
    for folder in service.runs_in(run):
        found, page = service.explain(folder, images, ask, most=limit)
        told.append({"run": str(folder), "page": str(page), **found.as_json()})
        if not as_json:
            click.echo(explaining.as_text(found))
            click.echo(f"\npage: {page}")
    if as_json:
        click.echo(json.dumps(told[0] if len(told) == 1 else {"runs": told}, indent=1))
