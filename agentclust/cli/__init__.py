"""The command line. Standard output carries results, standard error progress and messages."""

from agentclust.cli import (
    batching,
    data,
    explaining,
    exporting,
    keeping,
    looking,
    parts,
    running,
    talking,
)
from agentclust.cli.root import cli, main

__all__ = [
    "batching",
    "cli",
    "data",
    "explaining",
    "exporting",
    "keeping",
    "looking",
    "main",
    "parts",
    "running",
    "talking",
]
