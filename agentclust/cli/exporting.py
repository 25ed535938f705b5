"""The command that takes a result out of its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentclust.cli.root import EXISTING, cli
from agentclust.errors import InputError

if TYPE_CHECKING:
    from agentclust.export.folders import By


@cli.command()
@click.argument("run", type=EXISTING)
@click.option(
    "--to",
    metavar="FORMAT",
    help="csv, parquet, datasets (Hugging Face, images within), fiftyone (the JSON that it "
    "imports), or folders of images named after the groups.",
)
@click.option(
    "--out",
    type=EXISTING,
    metavar="DIR",
    help="A new or empty folder.  [default: one beside RUN]",
)
@click.option(
    "--by",
    type=click.Choice(["copy", "link", "move"]),
    help="Folders: how images get there.  [default: copy]",
)
@click.option("--dry-run", is_flag=True, help="Folders: say what would go where, and do nothing.")
@click.option(
    "--undo", is_flag=True, help="Folders: take an export back, also one that was cut off."
)
def export(
    run: Path, to: str | None, out: Path | None, by: By | None, dry_run: bool, undo: bool
) -> None:
    """Export the result of RUN as a table, for another tool, or as folders of the images.

    Nothing is ever overwritten. An export to folders that was cut off goes on with the same call.
    """
    from agentclust import service

    asked = {"--by": by, "--dry-run": dry_run, "--undo": undo}
    given = [name for name, value in asked.items() if value]
    to = to or ("folders" if undo else None)
    if to is None:
        raise InputError("--to", "is not given", f"write one of: {', '.join(service.formats())}")
    if given and to != "folders":
        raise InputError(given[0], f"means nothing to {to}", "it goes with --to folders")
    if undo and dry_run:
        raise InputError("--undo", "has no dry run", "leave --dry-run away")
    if undo:
        click.echo(f"taken back: {service.undo_export(run, out)}")
        return
    if dry_run:
        planned = service.preview(run, by or "copy")
        for folder, size in planned.sizes().items():
            click.echo(f"{size:6d}  {folder}")
        for step in planned.steps:
            click.echo(f"{planned.by} {step.source} -> {step.target}")
        return
    click.echo(service.export(run, to, out, by or "copy"))
