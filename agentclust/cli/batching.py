"""The command that runs a batch file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentclust.cli.root import EXISTING, cli, machines
from agentclust.errors import RunError

if TYPE_CHECKING:
    from agentclust.engines import Place


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
    "--only",
    multiple=True,
    default=["*"],
    show_default=False,
    metavar="PATTERN",
    help="Runs to do, by their folders, with * : 'DATASET/CRITERION/METHOD/MODEL/SEED' as far as "
    "the file names them; repeat it for several patterns.",
)
@click.option("--retry-failed", is_flag=True, help="Run once more what failed before.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Runs side by side; those with a model in process are alone.  [default: one a core, at "
    "most 4]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be run and what it costs.")
@machines
def batch(
    file: Path,
    out: Path | None,
    root: Path | None,
    only: tuple[str, ...],
    retry_failed: bool,
    jobs: int | None,
    dry_run: bool,
    place: Place,
) -> None:
    """Run every dataset of FILE by every criterion, method, model and seed, and write one table.

    FILE is YAML; examples/ holds some. A run that fails is written down and the rest goes on.
    """
    from agentclust import service

    grid = service.read_grid(file, root)
    folder = out or Path("runs") / file.stem
    if dry_run:
        planned = service.plan(grid, folder, only, retry_failed)
        for run in planned:
            click.echo(run)
        click.echo(service.summed(planned))
        broken = sum(bool(run.problem) for run in planned)
        if broken:
            why = "cannot be run, for the reasons above"
            raise RunError(f"{broken} of {len(planned)} runs", why, "mend that, or leave them out")
        return
    rows = service.run_batch(grid, folder, only, retry_failed, jobs, None, place)
    click.echo((folder / "results.md").read_text("utf-8"))
    click.echo(f"table: {folder / 'results.csv'}")
    click.echo(f"report: {folder / 'report.html'}")
    failed = sum(row["status"] != "done" for row in rows)
    if failed:
        why = "failed, for the reasons above"
        raise RunError(f"{failed} of {len(rows)} runs", why, "mend that, then --retry-failed")
