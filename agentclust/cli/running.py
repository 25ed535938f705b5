"""Commands that cluster: run, resume, assign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentclust.cli.root import EXISTING, MODEL, cli, limits, machines
from agentclust.errors import InputError

if TYPE_CHECKING:
    from agentclust.engines import Place


@cli.command()
@click.argument("dataset")
@click.option(
    "--criterion",
    "criteria",
    multiple=True,
    required=True,
    metavar="TEXT",
    help="What to group by, in plain words; repeat it for several groupings.",
)
@click.option(
    "--n-clusters", default="auto", metavar="K|auto", show_default=True, help="How many clusters."
)
@click.option(
    "--method",
    metavar="NAME",
    help="agent looks at what it got and mends it, ictc does each step once; agglomerative, "
    "consensus, hdbscan, kmeans, minibatch-kmeans, scan, spectral, temi, ward and "
    "package.module:Class cluster embeddings.  [default: agent]",
)
@click.option(
    "--vlm",
    metavar="M",
    help="What captions the images: a model that sees, or the "
    "built-in captioner, which only measures.  [default: builtin]",
)
@click.option(
    "--llm",
    metavar="M",
    help=f"The language model: {MODEL}.  [default: the best one that `models pull` has fetched]",
)
@click.option(
    "--out",
    type=EXISTING,
    metavar="RUN",
    help="The run directory, new or empty.  [default: one below runs/]",
)
@click.option("--seed", type=int, metavar="N", help="Seed of every random choice.  [default: 0]")
@click.option(
    "--embedder",
    metavar="E",
    help="minilm or tfidf for captions, efficientnet, timm:NAME, open_clip:ARCH/TAG or "
    "moco-v3:FILE for images, transformers:REPO or transformers:FOLDER for either, "
    "package.module:Class.  [default: the best one installed]",
)
@limits
@machines
@click.option("--prompts", type=EXISTING, metavar="DIR", help="Templates that replace ours.")
@click.option("--config", "file", type=EXISTING, metavar="FILE", help="A YAML file of settings.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any setting, for example mode=paper or llm.concurrency=32.",
)
def run(
    dataset: str,
    criteria: tuple[str, ...],
    n_clusters: str,
    out: Path | None,
    file: Path | None,
    settings: tuple[str, ...],
    place: Place,
    **options: Any,
) -> None:
    """Cluster the images of DATASET by each --criterion.

    DATASET is a folder of images, a .csv or .jsonl manifest, or a name from `datasets list`.
    """
    from agentclust import service
    from agentclust.config import make_config

    values = given(n_clusters, settings, file, options)
    configs = [
        make_config({"dataset": dataset, "criterion": c} | values, settings, file) for c in criteria
    ]
    folder = out or service.free_folder(criteria)
    for clustering in service.start(configs, folder, place=place):
        click.echo(clustering)
        click.echo(f"report: {clustering.run / 'report.html'}\n")


def given(
    n_clusters: str, settings: tuple[str, ...], file: Path | None, options: dict[str, Any]
) -> dict[str, Any]:
    """The options that a person gave, and the language model where they named none."""
    from agentclust import service
    from agentclust.config import names_llm

    values = {name: value for name, value in options.items() if value is not None}
    if "llm" not in values and not names_llm(settings, file):
        values["llm"] = service.default_llm(values.get("method", "agent"))
    count = click.get_current_context().get_parameter_source("n_clusters")
    if count is not click.core.ParameterSource.DEFAULT:
        values["n_clusters"] = _number(n_clusters)
    return values


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        if text == "auto":
            return text
        raise InputError(
            f"--n-clusters {text}", "is neither a number nor 'auto'", "write for example 7"
        ) from None


@cli.command()
@click.argument("run", type=EXISTING)
@limits
@machines
def resume(run: Path, place: Place, **budget: float | None) -> None:
    """Go on with RUN where it stopped; nothing is paid for twice.

    A run that fell back for want of a model or of budget goes on from there.
    """
    from agentclust import service

    for clustering in service.resume(run, None, place, **budget):
        click.echo(clustering)
        click.echo(f"report: {clustering.run / 'report.html'}\n")


@cli.command()
@click.argument("run", type=EXISTING)
@click.argument("images")
@click.option(
    "--out",
    type=EXISTING,
    metavar="RUN2",
    help="The run directory of the new images, new or empty.  [default: one beside RUN]",
)
@machines
def assign(run: Path, images: str, out: Path | None, place: Place) -> None:
    """Put new IMAGES into the groups of RUN.

    IMAGES is a dataset as for `run`. The names, the prompts and what a person changed in a session
    hold; nothing is named anew. The new images get a run directory of their own.
    """
    from agentclust import service

    clustering = service.assign(run, images, out or service.beside(run), None, place)
    click.echo(clustering)
    click.echo(f"report: {clustering.run / 'report.html'}")
