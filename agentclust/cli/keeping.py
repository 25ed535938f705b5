"""The command that embeds a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from agentclust.cli.root import EXISTING, cli, machines

if TYPE_CHECKING:
    from agentclust.engines import Place


@cli.command()
@click.argument("dataset")
@click.option(
    "--embedder",
    metavar="E",
    help="As for `run`.  [default: the best one installed, of images where there are any]",
)
@click.option(
    "--out",
    type=EXISTING,
    metavar="DIR",
    help="The folder of the store: new, empty, or one to go on with.  [default: one in the "
    "person's own folder, where `run` finds it]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Number format of the vectors.",
)
@machines
def embed(
    dataset: str,
    embedder: str | None,
    out: Path | None,
    dtype: Literal["float16", "float32"],
    place: Place,
) -> None:
    """Embed the images of DATASET, or its captions, into a store that runs use.

    A store is a folder with vectors.npy, which NumPy can map, and the id of each row. Whoever stops
    the command goes on by giving it again.
    """
    from agentclust import service

    store = service.embed(dataset, embedder, out, dtype, None, place)
    rows, width = store.vectors.shape
    click.echo(f"{store.folder}: {rows} vectors of {width} {store.made.dtype}")
