"""Commands for a person who is looking for the right groups: chat and suggest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agentclust.cli.root import EXISTING, MODEL, cli
from agentclust.cli.running import given
from agentclust.errors import InputError


@cli.command()
@click.argument("source", metavar="RUN|DATASET")
@click.option("--criterion", metavar="TEXT", help="For a dataset: what to group by.")
@click.option(
    "--n-clusters", default="auto", metavar="K|auto", show_default=True, help="How many clusters."
)
@click.option("--vlm", metavar="M", help="What captions the images.  [default: builtin]")
@click.option("--llm", metavar="M", help=f"The language model: {MODEL}, or none.")
@click.option("--out", type=EXISTING, metavar="RUN", help="For a dataset: the run directory.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting.")
def chat(
    source: str,
    criterion: str | None,
    n_clusters: str,
    out: Path | None,
    settings: tuple[str, ...],
    **options: Any,
) -> None:
    """Talk about the result of RUN, or cluster DATASET first: merge, split, rename, ask why.

    What is said becomes an edit of the run, and can be taken back. /help lists the commands; plain
    words go to the language model, commands need none.
    """
    from agentclust import service
    from agentclust.cli.chat import asked, chat
    from agentclust.config import make_config

    folder = Path(source)
    if not (folder / "run.json").exists():
        if criterion is None:
            why = "is no run, and no --criterion is given to cluster it by"
            raise InputError(source, why, 'add for example --criterion "mood"')
        values = given(n_clusters, settings, None, options)
        config = make_config({"dataset": source, "criterion": criterion} | values, settings)
        folder = out or service.free_folder([criterion])
        service.start([config], folder, person=asked())
    with service.session(folder) as talk:
        chat(talk)


@cli.command()
@click.argument("dataset")
@click.option("--vlm", metavar="M", help="What captions the images.  [default: builtin]")
@click.option("--llm", metavar="M", help="The language model, as for `run`.")
@click.option("--seed", type=int, metavar="N", help="Decides which images are read.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting.")
def suggest(dataset: str, settings: tuple[str, ...], **options: Any) -> None:
    """Suggest criteria worth trying on DATASET, each with groups of a sample of it."""
    from agentclust import service
    from agentclust.config import make_config

    values = given("auto", settings, None, options)
    config = make_config({"dataset": dataset, "criterion": "any"} | values, settings)
    for suggestion in service.suggest(config):
        click.echo(suggestion)
