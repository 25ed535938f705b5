"""Prompts for a GGUF, how one is opened, and what is seen of it."""

import hashlib

import llama_cpp
import numpy as np
from langchain_core.messages import HumanMessage, SystemMessage

from agentclust.models.llama_cpp import LlamaCpp

SHORT, LONG = "You sort pictures.", "You sort pictures by what they show, in one word. " * 3
CAPTIONS = ["A truck driver waves.", "Two trumpets lie on a truck; it rains. " * 2, "x"]
OPTIONS = ["truck", "truck driver", "trumpet", "trumpet player", "trombone", "none of them"]


def make(path, **settings):
    return LlamaCpp(path=path, **{"n_ctx": 1024, "n_threads": 1} | settings)


def prompt(system, user):
    return [SystemMessage(system), HumanMessage(user)]


PROMPTS = [prompt(system, caption) for system in (SHORT, LONG) for caption in CAPTIONS]


def logits_of(model, messages):
    """Every bit of the logits after a prompt."""
    with model._reading(messages, 1):
        return hashlib.sha256(model._gguf.logits().tobytes()).hexdigest()


def evaluated(model):
    """Tokens that llama.cpp itself counts as evaluated (it never says less than 1 single one)."""
    counts = llama_cpp.llama_perf_context(model._gguf.llama.ctx)
    return counts.n_p_eval + counts.n_eval


def cached(message):
    return message.usage_metadata["input_token_details"]["cache_read"]


def path_logits_afresh(model, tokens):
    model._gguf.read([tokens])
    return model._gguf.logits()


def brute_force(model, tokens, logits):
    """Each option written token by token, all that no option admits masked."""
    options = [[*model._gguf.tokens(option), model._gguf.end] for option in OPTIONS]
    result = []
    for option in options:
        p = 1.0
        for depth, token in enumerate(option):
            admissible = sorted({o[depth] for o in options if o[:depth] == option[:depth]})
            values = logits([*tokens, *option[:depth]])[admissible].astype(np.float64)
            weights = np.exp(values - values.max())
            p *= weights[admissible.index(token)] / weights.sum()
        result.append(p)
    return result
