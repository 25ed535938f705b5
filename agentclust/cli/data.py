"""Commands about datasets: list, prepare, show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agentclust.cli.root import EXISTING, cli

ROOT = click.option(
    "--root",
    type=EXISTING,
    metavar="DIR",
    help="The folder of datasets.  [default: where `run` finds them by name]",
)


@cli.group()
def datasets() -> None:
    """Datasets that agentclust knows by name."""


@datasets.command("list")
@ROOT
def list_datasets(root: Path | None) -> None:
    """List the datasets: name, whether it is prepared, and what it is."""
    from agentclust.datasets import showing

    for line in showing.listed(root):
        click.echo(line)


@datasets.command()
@click.argument("name")
@ROOT
@click.option(
    "--from",
    "given",
    multiple=True,
    metavar="PATH",
    help="What you have already: the archives, a folder of them, or an unpacked folder; for "
    "`folder`, `manifest` and `imagenet` what to take, for `huggingface` its repository or folder.",
)
@click.option("--as", "called", default="", metavar="NAME", help="Call it otherwise.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="SPLIT",
    help="A split to prepare; repeat it for several.  [default: the usual ones]",
)
@click.option(
    "--labels",
    multiple=True,
    metavar="AXIS=FILE",
    help="One more label axis, from a file of image names and labels.",
)
@click.option(
    "--axis",
    "axes",
    multiple=True,
    metavar="COLUMN",
    help="For `manifest` and `huggingface`: a column that is a label axis.  [default: all]",
)
@click.option(
    "--classes",
    type=EXISTING,
    metavar="FILE",
    help="For `imagenet-50` and so on: the classes, a line each, its folder's name first.",
)
@click.option(
    "--checksum",
    "checksums",
    multiple=True,
    metavar="[FILE=]HEX",
    help="MD5, SHA-1, SHA-256 or SHA-512 of an archive, in place of the published one.",
)
def prepare(name: str, root: Path | None, called: str, **asked: Any) -> None:
    """Fetch, check and unpack the dataset NAME, and print its folder.

    The folder holds images with neutral names, a manifest a split for `run`, and the true labels in
    labels.csv for `evaluate`. What was fetched is kept in the folder "archives" beside it.
    """
    from agentclust import datasets as known
    from agentclust.datasets.recipe import Wishes

    click.echo(known.prepare(name, root, Wishes(**asked), called))


@datasets.command()
@click.argument("name")
@ROOT
@click.option(
    "--sheet",
    type=EXISTING,
    metavar="FILE",
    help="Where the contact sheet goes.  [default: contact-sheet.png in its folder]",
)
def show(name: str, root: Path | None, sheet: Path | None) -> None:
    """Say what the prepared dataset NAME holds, and draw a contact sheet of it.

    A row of the sheet is a class of the first label axis.
    """
    from agentclust.datasets import showing

    click.echo(showing.show(name, root, sheet))
