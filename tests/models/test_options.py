import numpy as np
import pytest

from agentclust.errors import InputError
from agentclust.models.options import NEGLIGIBLE, distribution

END = 0
N_VOCAB = 8


class Table:
    """Logits of a made-up model, one row for each path, and which paths were asked for."""

    def __init__(self, seed=0, scale=1.0):
        self.rng, self.scale = np.random.default_rng(seed), scale
        self.rows = {}
        self.asked = []

    def __call__(self, path):
        self.asked.append(tuple(path))
        return self.row(tuple(path))

    def row(self, path):
        if path not in self.rows:
            self.rows[path] = self.rng.normal(0, self.scale, N_VOCAB).astype(np.float32)
        return self.rows[path]


def brute_force(sequences, table):
    """Write every option token by token, masking what no option that is still open admits."""
    result = []
    for sequence in sequences:
        p = 1.0
        for depth, token in enumerate(sequence):
            path = tuple(sequence[:depth])
            admissible = sorted({s[depth] for s in sequences if tuple(s[:depth]) == path})
            weights = np.exp(table.row(path)[admissible].astype(np.float64))
            p *= weights[admissible.index(token)] / weights.sum()
        result.append(p)
    return result


@pytest.mark.parametrize("seed", range(20))
def test_equals_decoding_token_by_token_under_the_options(seed):
    rng = np.random.default_rng(seed)
    sequences = sorted({(*rng.integers(1, 4, rng.integers(1, 6)).tolist(), END) for _ in range(12)})
    rng.shuffle(sequences)
    table = Table(seed, scale=0.5)
    probabilities = distribution(sequences, table)
    assert probabilities == pytest.approx(
        brute_force(sequences, table), abs=len(sequences) * NEGLIGIBLE
    )
    assert sum(probabilities) == pytest.approx(1)


def test_by_hand():
    truck, driver, trumpet = (5, END), (5, 6, END), (7, END)
    table = Table()
    table.rows[()] = np.log(np.array([1, 1, 1, 1, 1, 3, 1, 1], np.float32))
    table.rows[(5,)] = np.log(np.array([4, 1, 1, 1, 1, 1, 1, 1], np.float32))
    assert distribution([trumpet, truck, driver], table) == pytest.approx([1 / 4, 3 / 5, 3 / 20])


def test_asks_once_a_branching_node_and_for_nothing_else():
    table = Table(scale=0.1)
    distribution([(1, 2, 3, END), (1, 2, 4, 5, END), (1, 2, 4, 6, END)], table)
    assert table.asked == [(1, 2), (1, 2, 4)]


def test_a_single_option_is_certain_and_free():
    table = Table()
    assert distribution([(1, 2, END)], table) == (1.0,)
    assert table.asked == []


def test_a_negligible_node_shares_its_mass_evenly():
    table = Table()
    table.rows[()] = np.array([0, 0, 10, 0, 0, 0, 0, 0], np.float32)
    rest, a, b = distribution([(2, END), (1, 3, END), (1, 4, END)], table)
    assert table.asked == [()]
    assert a == b == pytest.approx((1 - rest) / 2)
    assert 0 < a < NEGLIGIBLE


def test_extreme_logits_do_not_overflow():
    table = Table()
    table.rows[()] = np.array([0, 1e4, -1e4, 0, 0, 0, 0, 0], np.float32)
    assert distribution([(1, END), (2, END)], table) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        ([], "there are none"),
        ([(1, END), (2, END), (1, END)], "options 1 and 3"),
        ([(1, 2), (1,), (3,)], "end-of-answer"),
    ],
)
def test_options_that_cannot_be_told_apart(sequences, words):
    with pytest.raises(InputError, match=words):
        distribution(sequences, Table())
