"""Commands that look at runs: show, evaluate, report, compare."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
@click.option(
    "--probe",
    is_flag=True,
    help="Add what a classifier that learns the true labels makes of the same embeddings.",
)
@click.option(
    "--curves",
    is_flag=True,
    help="Add ACC, NMI, ARI and top-5 accuracy of the 50, 100, … 1000 surest samples (curves.csv).",
)
@click.option("--around", metavar="ID", help="Curves of the nearest neighbours of this one, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    run: Path,
    labels: Path,
    axis: str | None,
    probe: bool,
    curves: bool,
    around: str | None,
    as_json: bool,
) -> None:
    """Compare RUN with true labels: ACC, NMI, ARI and more, the best and the worst clusters."""
    from agentclust import pages, service

    service.evaluate(run, labels, axis, curves=curves, around=around)
    scores: dict[str, Any] = service.evaluation(run)
    points = pages.points(run)
    if points and as_json:
        scores["curves"] = [asdict(point) for point in points]
    if probe:
        scores |= service.probe(run, labels, axis)
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
    if points:
        click.echo(f"{'candidates':>10}  {'ACC':>6} {'NMI':>6} {'ARI':>6} {'top-5':>6}  by")
    for point in points:
        top5 = "-" if point.top5 is None else f"{point.top5:.4f}"
        scored = f"{point.acc:.4f} {point.nmi:.4f} {point.ari:.4f} {top5:>6}"
        click.echo(f"{point.n:10}  {scored}  {point.order}")
    if points and points[0].top5 is None:
        click.echo(pages.NO_ORDER)


@cli.command()
@click.argument("run", type=EXISTING)
def report(run: Path) -> None:
    """Write the report page of RUN anew."""
    from agentclust import service

    for folder in service.runs_in(run):
        click.echo(service.report(folder))


@cli.command()
@click.argument("runs", type=EXISTING, nargs=-1, required=True, metavar="RUN RUN...")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    metavar="N",
    help="Images to list of those that two runs disagree on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every image.")
def compare(runs: tuple[Path, ...], limit: int, as_json: bool) -> None:
    """Compare RUNs of the same images with each other, by one criterion or several.

    Says how far every two agree (ARI, AMI), crosses their clusters, and lists the images that are
    not in matched clusters (* in the table). A RUN may be a folder of several.
    """
    from agentclust import service

    found = service.compare(runs)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
    else:
        click.echo(found.as_text(limit))
