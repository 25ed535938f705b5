from pathlib import Path

import numpy as np
import pytest

from agentclust.errors import ImageProblem, InputError, MissingExtra, ModelError
from agentclust.types import Choice, Clustering, Usage
from tests.complaints import check


def clustering(**changes):
    values = {
        "criterion": "pet",
        "method": "ictc",
        "ids": ("a", "b", "c"),
        "files": ("/a.png", "", "/c.png"),
        "labels_": np.array([1, -1, 1]),
        "names": ("dog", "cat"),
        "confidences": np.array([0.123456, 0.0, 1.0]),
        "run": Path("run"),
    }
    return Clustering(**(values | changes))


def test_a_table_of_a_clustering():
    assert clustering().table() == [
        {"id": "a", "path": "/a.png", "cluster": 1, "name": "cat", "confidence": 0.1235},
        {"id": "b", "path": "", "cluster": -1, "name": "", "confidence": 0.0},
        {"id": "c", "path": "/c.png", "cluster": 1, "name": "cat", "confidence": 1.0},
    ]


def test_sizes_of_clusters():
    found = clustering()
    assert found.sizes() == {"dog": 0, "cat": 2}
    assert (len(found), found.n_clusters) == (3, 2)
    nobody = clustering(labels_=np.array([-1, -1, -1]))
    assert nobody.sizes() == {"dog": 0, "cat": 0}


def test_a_clustering_as_text():
    assert str(clustering()) == (
        "3 images by 'pet': 2 clusters\n     0  dog\n     2  cat\n     1  unassigned"
    )
    assert "unassigned" not in str(clustering(labels_=np.array([1, 0, 1])))


def test_usage_adds_up():
    assert Usage(1, 2, 3, 4, 0.5) + Usage(1, 1, 1, 1, 0.25) == Usage(2, 3, 4, 5, 0.75)
    assert sum([Usage(1), Usage(2)], Usage()).calls == 3


def test_the_best_of_a_choice():
    assert Choice((0.2, 0.5, 0.3)).best == 1
    assert Choice(()).best is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("a\nb", "is  no\tnumber", "write\n7"), 2),
        (ImageProblem("a.png", "is empty", "remove it"), 2),
        (MissingExtra("llama-cpp", "llama-cpp"), 2),
        (ModelError("gpt", "does not answer", "try again"), 1),
    ],
)
def test_errors_are_one_line(error, status):
    check(str(error))
    assert "  " not in str(error)
    assert error.exit_status == status


def test_a_missing_extra_names_its_install_line():
    error = MissingExtra("llama-cpp:a.gguf", "llama-cpp")
    assert str(error).endswith("; run: pip install 'agentclust[llama-cpp]'")
