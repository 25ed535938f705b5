"""What the command line, the page and Python callers all call."""

from agentclust.engines import Place
from agentclust.service.batching import plan, run_batch, summed
from agentclust.service.comparing import compare
from agentclust.service.evaluating import evaluate, evaluation, probe
from agentclust.service.explaining import explain
from agentclust.service.exporting import export, formats, preview, undo_export
from agentclust.service.folders import beside, free_folder, runs_in
from agentclust.service.grid import read_grid
from agentclust.service.keeping import embed
from agentclust.service.reporting import report
from agentclust.service.running import METHODS, Person, assign, resume, start
from agentclust.service.talking import default_llm, session, suggest

__all__ = [
    "METHODS",
    "Person",
    "Place",
    "assign",
    "beside",
    "compare",
    "default_llm",
    "embed",
    "evaluate",
    "evaluation",
    "explain",
    "export",
    "formats",
    "free_folder",
    "plan",
    "preview",
    "probe",
    "read_grid",
    "report",
    "resume",
    "run_batch",
    "runs_in",
    "session",
    "start",
    "suggest",
    "summed",
    "undo_export",
]
