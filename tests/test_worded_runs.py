"""Captions that are grouped without any language model, by their words under the criterion."""

from __future__ import annotations

import json

import numpy as np
import pytest

import agentclust
from agentclust.metrics import external
from tests.scenes import scenes


@pytest.fixture
def told(tmp_path):
    captions, truth = scenes(300)
    rows = [{"id": f"s{i}", "caption": text} for i, text in enumerate(captions)]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "m.jsonl", truth


def grouped(file, truth, out, **settings):
    """The share that is right, the mean confidence, and how the groups were found."""
    found = agentclust.cluster(
        file, criterion="place", n_clusters=4, llm="none", embedder="minilm", out=out, **settings
    )
    return external(np.asarray(truth), found.labels_).acc, float(found.confidences.mean()), found


def test_the_criterion_decides_without_a_language_model(told, tmp_path):
    acc, sure, found = grouped(*told, tmp_path / "run")
    assert found.method == "consensus"
    plain, _, _ = grouped(*told, tmp_path / "plain", focus=False)
    assert acc > 0.97 > 0.6 > plain
    sharp = {"temperature": 0.05}
    _, surer, _ = grouped(*told, tmp_path / "sharp", clusterer_settings=sharp)
    assert 0.9 < sure < surer  # cosines of weighed words lie further apart
