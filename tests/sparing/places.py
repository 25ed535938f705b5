"""Runs over captions of places, and how many were put right."""

from __future__ import annotations

import numpy as np

from agentclust.metrics import external
from tests.scenes import PLACES, Placing, scenes
from tests.steps import captioned, opened

CAPTIONS, TRUTH = scenes(300)


def place_run(folder, captions=CAPTIONS, model=None, **settings):
    values = {"criterion": "place", "n_clusters": len(PLACES), "embedder": "minilm"} | settings
    return opened(folder, captioned(*captions), model or Placing(), **values)


def right(rows, truth=TRUTH):
    return external(np.asarray(truth), np.array([row["cluster"] for row in rows.values()])).acc
