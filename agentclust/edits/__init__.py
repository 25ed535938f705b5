"""What a person changed of a result: edits, and the grouping that they lead to.

The result of a run is the grouping of an attempt with the active edits applied to it, one after
another. Edits are rows of ``edits.jsonl``, which only ever grows: what is taken back is a row, too.
"""

from agentclust.edits.applying import apply
from agentclust.edits.deciding import choose_captions, decide, has_model
from agentclust.edits.described import described
from agentclust.edits.grouping import Edit, Grouping, grouping_of
from agentclust.edits.kept import active, edited, export, log, replayed, undone

__all__ = [
    "Edit",
    "Grouping",
    "active",
    "apply",
    "choose_captions",
    "decide",
    "described",
    "edited",
    "export",
    "grouping_of",
    "has_model",
    "log",
    "replayed",
    "undone",
]
