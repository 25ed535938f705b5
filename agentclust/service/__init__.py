"""What the command line, the page and Python callers all call."""

from agentclust.grid import read_grid
from agentclust.service.batching import plan, run_batch
from agentclust.service.evaluating import evaluate, evaluation
from agentclust.service.folders import beside, free_folder, runs_in
from agentclust.service.keeping import embed
from agentclust.service.running import METHODS, Person, assign, resume, start
from agentclust.service.talking import default_llm, session, suggest

__all__ = [
    "METHODS",
    "Person",
    "assign",
    "beside",
    "default_llm",
    "embed",
    "evaluate",
    "evaluation",
    "free_folder",
    "plan",
    "read_grid",
    "resume",
    "run_batch",
    "runs_in",
    "session",
    "start",
    "suggest",
]
