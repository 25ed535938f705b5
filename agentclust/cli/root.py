"""What every command hangs on, and how the process ends."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from agentclust import __version__
from agentclust.errors import AgentclustError

MODEL = (
    "openai:NAME (with --set base_url=URL for any OpenAI-compatible endpoint), "
    "llama-cpp:FILE.gguf, a name from `models list`, transformers:REPO, any provider:name that "
    "LangChain knows, package.module:Class, or fake"
)
PLACE = ("engine", "address", "workers", "worker_cpus", "worker_gpus")
EXISTING = click.Path(path_type=Path)


def limits(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a command may spend."""
    for option in (
        click.option("--max-seconds", type=float, metavar="S", help="Ask nothing after so long."),
        click.option("--max-tokens", type=int, metavar="N", help="Tokens to read and write."),
        click.option("--max-calls", type=int, metavar="N", help="Model calls to make."),
    ):
        command = option(command)
    return command


def machines(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where models work, given to the command as `place`."""

    @wraps(command)
    def placed(*args: Any, **options: Any) -> None:
        from agentclust.engines import Place

        asked = {name: options.pop(name) for name in PLACE}
        given = {name: value for name, value in asked.items() if value is not None}
        command(*args, place=Place(**given), **options)

    for option in (
        click.option(
            "--worker-gpus",
            type=click.FloatRange(0),
            metavar="G",
            help="GPUs, or the share of one, that a worker takes.  [default: 1 if there are any]",
        ),
        click.option(
            "--worker-cpus",
            type=click.FloatRange(0, min_open=True),
            metavar="C",
            help="CPUs that a worker takes.  [default: 1; for a language model without a GPU those "
            "of the smallest machine]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1),
            metavar="N",
            help="Workers a model at most.  [default: as many as there is room for]",
        ),
        click.option(
            "--address",
            metavar="HOST:PORT",
            help="The head of the Ray cluster, or auto on a machine of it.  [default: Ray is "
            "started on this machine alone]",
        ),
        click.option(
            "--engine",
            metavar="NAME",
            help="Where models work: local, in this process, or ray, on the workers of a cluster "
            "(extra ray).  [default: local]",
        ),
    ):
        placed = option(placed)
    return placed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentclust")
def cli() -> None:
    """Sort a folder of images by an idea given in plain words."""


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
    resumable = sys.argv[1:2] in (["run"], ["resume"], ["assign"], ["chat"])
    again = "agentclust resume RUN" if resumable else "the same command"
    _complain(f"interrupted: what is done is kept; go on with: {again}")
    sys.stdout.flush()
    # threads waiting for an endpoint would hold the process until it answers
    os._exit(130)
