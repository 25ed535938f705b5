"""The command that runs a batch file."""

from __future__ import annotations

from pathlib import Path

import click

from agentclust.cli.root import EXISTING, cli
from agentclust.errors import RunError


@cli.command()
@click.argument("file", type=EXISTING)
@click.option(
    "--out",
    type=EXISTING,
    metavar="DIR",
    help="Folder of the runs and tables; what is finished there is not run again.  "
    "[default: runs/ and the file's name]",
)
@click.option(
    "--root", type=EXISTING, metavar="DIR", help="Folder of the datasets, in place of the file's."
)
@click.option(
    "--only", default="*", metavar="PATTERN", help="Runs to do: 'DATASET/METHOD/SEED', with * ."
)
@click.option("--retry-failed", is_flag=True, help="Run once more what failed before.")
@click.option("--dry-run", is_flag=True, help="Say what would be run and what it costs.")
def batch(
    file: Path, out: Path | None, root: Path | None, only: str, retry_failed: bool, dry_run: bool
) -> None:
    """Run every dataset of FILE by every method and seed, and write one table of all.

    FILE is YAML; examples/ holds some. A run that fails is written down and the rest goes on.
    """
    from agentclust import service

    grid = service.read_grid(file, root)
    if dry_run:
        for cell, cost in service.plan(grid, only):
            click.echo(f"{cell.name}: {cost or 'asks no model'}")
        return
    folder = out or Path("runs") / file.stem
    rows = service.run_batch(grid, folder, only, retry_failed)
    click.echo((folder / "results.md").read_text("utf-8"))
    click.echo(f"table: {folder / 'results.csv'}")
    failed = sum(row["status"] != "done" for row in rows)
    if failed:
        why = "failed, for the reasons above"
        raise RunError(f"{failed} of {len(rows)} runs", why, "mend that, then --retry-failed")
