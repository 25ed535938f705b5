"""The tool that scores the clustering without true labels."""

from __future__ import annotations

from agentclust import attempts
from agentclust.attempts import judging
from agentclust.work import Work


def score(work: Work) -> str:
    """Judge the clustering by internal scores, which see no true label, and keep the best."""
    scores = ", ".join(f"{name} {value:.3g}" for name, value in judging.score(work).items())
    return f"{scores}; {attempts.settle(work)}"
