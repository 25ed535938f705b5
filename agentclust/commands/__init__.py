"""What a person types in a session, turned into a command.

Knows nothing of runs, files or models: the groups, the sample ids and the ids last shown are all
that a line is read against.
"""

from agentclust.commands.checking import check, find_samples
from agentclust.commands.completing import complete
from agentclust.commands.sentences import parse
from agentclust.commands.verbs import VERBS, Arg, Command, Verb, command, line, schemas

__all__ = [
    "VERBS",
    "Arg",
    "Command",
    "Verb",
    "check",
    "command",
    "complete",
    "find_samples",
    "line",
    "parse",
    "schemas",
]
