"""Commands that look at a run: show, evaluate, report."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agentclust.cli.root import EXISTING, cli


@cli.command()
@click.argument("run", type=EXISTING)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(run: Path, as_json: bool) -> None:
    """Say how RUN stands: status, clusters, usage, scores."""
    from agentclust import pages, service

    found = [pages.show(folder) for folder in service.runs_in(run)]
    if as_json:
        click.echo(json.dumps(found[0] if len(found) == 1 else {"runs": found}, indent=1))
        return
    for one in found:
        click.echo(pages.as_text(one))


@cli.command()
@click.argument("run", type=EXISTING)
@click.option(
    "--labels",
    type=EXISTING,
    required=True,
    metavar="FILE",
    help="CSV: id or file, then a column an axis.",
)
@click.option("--axis", metavar="COLUMN", help="Which column holds the true labels.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(run: Path, labels: Path, axis: str | None, as_json: bool) -> None:
    """Compare RUN with true labels: ACC, NMI, ARI and more, the best and the worst clusters."""
    from agentclust import service

    service.evaluate(run, labels, axis)
    scores = service.evaluation(run)
    if as_json:
        click.echo(json.dumps(scores))
        return
    for name, value in scores.items():
        if isinstance(value, list):
            click.echo(f"{name} clusters")
            for one in value:
                share = f"{one['share']:.0%} of {one['size']} are {one['class']!r}"
                click.echo(f"  {one['name']}: {share}")
        else:
            shown = f"{value:.4f}" if isinstance(value, float) else value
            click.echo(f"{name:15} {shown}")


@cli.command()
@click.argument("run", type=EXISTING)
def report(run: Path) -> None:
    """Write the report page of RUN anew."""
    from agentclust import pages, service

    for folder in service.runs_in(run):
        click.echo(pages.write_report(folder))
