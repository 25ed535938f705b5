"""Raw labels as the language model takes them: near each other where they are of one kind.

A sentence embedder has read what words stand beside: a dolphin lies near a swimming pool. A chat
model that is about to name the kind of a dolphin has the kind in mind, and what it has in mind, the
last layer's hidden state before the first word of the answer, lies near that of a whale. That one
state holds the meaning which a prompt asks for is the finding of PromptEOL (Jiang, Huang, Luan,
Wang, Zhuang: Scaling Sentence Embeddings with Large Language Models, Findings of EMNLP 2024,
section 3.1). Nothing is written, so that an answer in wrong words does no harm, and a question is
asked once for each label that differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA

from agentclust.embedders import Vectors, normalized
from agentclust.types import State
from agentclust.work import Work

WIDTH = 32  # principal components that are kept: the others hold spelling more than kind


def of_labels(work: Work, labels: Sequence[str]) -> Vectors | None:
    """Vectors of labels that differ, shape (n, d): those of one kind lie near each other.

    Returns:
        Unit rows; None where the model tells no hidden states, as models behind an API do not, or
        refuses a label, or the setting ``kinds`` is false.
    """
    if not (work.run.config.kinds and work.llm.inward):
        return None
    template = work.run.template("kind")
    requests = [template.render(criterion=work.run.criterion, label=text) for text in labels]
    states: dict[int, Vectors] = {}
    with work.paying("kind"), work.reporter.step("kind", len(labels)) as advance:
        for index, state in work.llm.states(requests):
            if isinstance(state, State):
                states[index] = state.vector
            advance()
    if len(states) < len(labels):
        return None
    return reduced(np.stack([states[index] for index in range(len(labels))]))


def reduced(states: Vectors) -> Vectors:
    """Unit rows of principal components, shape (n, at most `WIDTH`); zero where all are equal."""
    if not np.ptp(states, axis=0).any():
        return np.zeros((len(states), 1), dtype=np.float32)
    width = min(WIDTH, *states.shape)
    return normalized(PCA(width, svd_solver="full").fit_transform(normalized(states)))
