"""The tables and the plot of a batch."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from agentclust.report.markup import as_latex, as_markdown
from agentclust.report.means import lines
from agentclust.report.scatter import Point, scatter
from agentclust.service.grid import cells, published, read_grid

ROW = {"dataset": "a_b", "criterion": "c", "method": "m", "status": "done", "n": 5, "nmi": 0.5,
       "ari": 0.5, "n_clusters": 2, "unassigned": 0, "calls": 3, "prompt_tokens": 1000,
       "cached_prompt_tokens": 0, "completion_tokens": 1, "seconds": 2,
       "peak_mb": 3}  # fmt: skip
ROWS = [ROW | {"seed": seed, "acc": acc} for seed, acc in ((0, 0.9), (1, 0.8), (2, 0.7))]
PUBLISHED = {("a_b", "c"): [{"llm": "gpt & co", "acc": "0.5", "nmi": "", "ari": "0.3"}]}


@pytest.mark.parametrize(
    ("name", "runs"),
    [("ictc_captions", 66), ("clevr4", 16), ("over_clustering", 36), ("temi", 108)],
)
def test_the_examples_are_grids_with_their_published_scores(name, runs):
    grid = read_grid(Path(__file__).parents[2] / "examples" / f"{name}.yaml")
    every = cells(grid)
    assert len(every) == runs
    first = {"clevr4": ["0.982"], "temi": ["0.945", "0.969", "0.883"]}
    if name in first:
        assert [row["acc"] for row in published(grid, every[0])] == first[name]


def test_means_and_spread_are_those_of_the_seeds():
    text = as_markdown("T", ROWS, PUBLISHED)
    assert "## a_b, c: 5 images, 3 seeds" in text
    assert "| m | 0.800 ± 0.100 | 0.500 ± 0.000 |" in text
    assert "| 1,000 |" in text
    assert "| published: gpt & co | 0.500 |  | 0.300 |" in text


def test_what_a_run_took_that_was_cut_off_is_not_counted():
    rows = [ROWS[0] | {"seconds": 50}, ROWS[1] | {"seconds": 1, "resumed": True}]
    (line,) = lines(rows, {})
    assert line.values["seconds"].mean == 50
    assert line.values["acc"].mean == pytest.approx(0.85)
    (line,) = lines(rows[1:], {})
    assert line.values["seconds"].mean == 1


def test_the_latex_table_escapes_what_it_holds():
    text = as_latex("T", ROWS, PUBLISHED)
    assert r"\multicolumn{5}{l}{a\_b, c}" in text
    assert r"m & $0.800 \pm 0.100$ & $0.500 \pm 0.000$ & $0.500 \pm 0.000$ & 2 \\" in text
    assert r"published: gpt \& co & $0.500$ &  & $0.300$ &  \\" in text
    assert text.count("{") == text.count("}")


def test_the_plot_holds_every_point_and_escapes_what_it_shows():
    svg = scatter([Point(0, 0.5, "a<b", "p"), Point(1e6, 1, "c", "q")], "T & U", "x", "y")
    root = ElementTree.fromstring(svg)
    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["p", "q"]
    circles = [n for n in root.iter("{http://www.w3.org/2000/svg}circle") if len(n)]
    left, right = (float(node.get("cx")) for node in circles)
    assert left < right <= 720
