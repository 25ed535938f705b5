from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from report_pages import HOSTILE, clustering, draw, full_view, read

from agentclust.errors import RunError
from agentclust.metrics import external, internal
from agentclust.report import Agreement, Prompt, View, write, write_index
from agentclust.report.gallery import SHOWN
from agentclust.types import LeftOut, Usage

# what is on the page


def test_the_page_tells_the_whole_story(tmp_path):
    files = draw(tmp_path, 12)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, -1])
    confidences = np.array([0.9, 0.8, 0.97, 0.6, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.41, 0])
    found = clustering(files, labels, ["crimson things", "green things"], confidences)
    truth = ["red"] * 5 + ["green"] * 6 + ["red"]
    scores = external(truth, labels, confidences, 2)
    view = View(
        clustering=found,
        captions={"sample-2": "A red disc on a wall."},
        raw_labels={"sample-2": "scarlet"},
        reasons={"sample-11": "none of the names fits"},
        dataset="discs",
        notes=("The names were asked for twice.",),
        left_out=(LeftOut("broken.jpg", "truncated image"),),
        models={"llm": "openai:some-model"},
        settings={"seed": "7"},
        prompts=(Prompt("caption", "3", "abcdef0123456789"),),
        usage={"caption": Usage(12, 3456, 1200, 99, 7.25), "assign": Usage(11, 1100, 900, 1, 2.5)},
        scores=internal(labels, confidences, 2),
        agreements=(Agreement(scores.summary(), scores.classes, scores.counts, scores.matching),),
        created="2025-01-02T03:04:05+00:00",
        version="1.2.3",
    )
    page = read(write(view, tmp_path / "report.html"))
    words = page.words()
    for part in [
        "12 images of discs by colour",
        "crimson things 5 images · 42% · confidence 0.75 · 100% truly red",
        "green things 6 images · 50%",
        "Unassigned 1 image · 8.3% none of the names fits 1",
        "A red disc on a wall. raw label scarlet confidence 0.97 id sample-2",
        "The names were asked for twice.",
        "1 file could not be used broken.jpg truncated image",
        "method ictc llm openai:some-model seed 7",
        "caption 12 3,456 1,200 99 7.2",
        "total 23 4,556 2,100 100 9.8",
        "caption 3 abcdef012345",
        "ACC 0.917",
        "red → unassigned 1 of 6",
        "Made by agentclust 1.2.3 · 2025-01-02 03:04",
    ]:
        assert part in words
    assert "Not finished" not in words
    assert page.all("img", alt="A red disc on a wall.")
    assert len(page.all("details", **{"class": "card"})) == 12
    assert len(page.all("table", **{"class": "matrix"})) == 1


def test_without_true_labels_there_is_no_word_of_them(tmp_path):
    view = View(clustering(["", ""], [0, 1], ["a", "b"]), scores={"unassigned": 0.0})
    words = read(write(view, tmp_path / "report.html")).words()
    assert "Unassigned 0% of all are in no cluster" in words
    for part in ("true", "ACC", "NMI", "Largest differences"):
        assert part not in words.replace("Without true labels", "")


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([], [], "0 samples by colour"),
        ([-1, -1], [], "Unassigned 2 samples"),
        ([0, 0], ["all", "none"], "No sample was assigned to this cluster."),
    ],
)
def test_a_run_that_has_little_to_show(tmp_path, labels, names, words):
    view = View(clustering([""] * len(labels), labels, names), status="failed")
    page = read(write(view, tmp_path / "report.html"))
    assert words in page.words()
    assert "Not finished. The status of this run is “failed”" in page.words()


def test_samples_without_a_picture_show_their_caption(tmp_path):
    files = draw(tmp_path, 2)
    Path(files[1]).unlink()
    found = clustering([*files, ""], [0, 0, 0], ["a"])
    view = View(found, captions={f"sample-{i}": f"caption {i}" for i in range(3)})
    page = read(write(view, tmp_path / "report.html"))
    assert [image["alt"] for image in page.all("img")] == ["", "caption 0"]
    assert page.words().count("caption 1") == page.words().count("caption 2") == 2
    assert len(page.all("details", **{"class": "card words"})) == 2


def test_pictures_are_small_and_embedded(tmp_path):
    files = draw(tmp_path, 1, (3000, 2000))
    write(View(clustering(files, [0], ["a"])), tmp_path / "report.html")
    page = read(tmp_path / "report.html")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert (tmp_path / "report.html").stat().st_size < 30_000


def test_what_is_unsure_carries_its_confidence(tmp_path):
    confidences = [0.1, 0.5, 0.9, 0.3, 0.7]
    few = clustering([""] * 5, [0] * 5, ["a"], confidences)
    page = read(write(View(few), tmp_path / "few.html"))
    assert len(page.all("span", **{"class": "number"})) == 2
    many = clustering([""] * 100, [0] * 100, ["a"], np.linspace(0.6, 1, 100))
    page = read(write(View(many), tmp_path / "many.html"))
    assert len(page.all("span", **{"class": "number"})) == 8
    assert "Most confident" in page.words()
    assert "and 76 more" in page.words()


def test_ten_thousand_images_stay_small(tmp_path):
    files = draw(tmp_path, 100, (640, 480))
    random = np.random.default_rng(0)
    labels = random.integers(-1, 10, 10_000)
    found = clustering(
        [files[i % 100] for i in range(10_000)],
        labels,
        [f"cluster {i}" for i in range(10)],
        random.uniform(0, 1, 10_000),
    )
    captions = {sample: f"{sample} " + "a long caption of a picture " * 8 for sample in found.ids}
    tracemalloc.start()
    write(View(found, captions), tmp_path / "report.html")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    page = read(tmp_path / "report.html")
    assert len(page.all("details", **{"class": "card"})) == 11 * SHOWN
    assert (tmp_path / "report.html").stat().st_size < 4_000_000
    assert peak < 40_000_000


# safety


def test_hostile_text_stays_text(tmp_path):
    page = read(write(full_view(tmp_path, HOSTILE), tmp_path / "report.html"))
    allowed = "html head meta title style body header main nav section footer h1 h2 h3 p ol ul li a"
    allowed += (
        " img span bdi svg rect details summary div dl dt dd table thead tbody tfoot tr th td"
    )
    allowed += " strong code time text path polyline circle canvas button noscript script"
    assert {tag for tag, _ in page.elements} == set(allowed.split())
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("style", "autofocus")}
    assert len(page.all("style")) == 1
    for text in HOSTILE:
        assert text in page.text


def test_nothing_is_loaded_from_anywhere(tmp_path):
    page = read(write(full_view(tmp_path, HOSTILE), tmp_path / "report.html"))
    assert {image["src"].partition(",")[0] for image in page.all("img")} == {
        "data:image/jpeg;base64"
    }
    targets = {link["href"] for link in page.all("a")}
    anchors = {f"#{attributes['id']}" for attributes in page.all("section")}
    assert targets == anchors - {"#how", "#scores", "#map"}
    assert not page.all("link") + page.all("iframe")
    assert [set(script) for script in page.all("script")] == [{"type", "id"}, set()]
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "script-src 'sha256-" in policy
    plain = write(View(clustering([""], [0], ["a"])), tmp_path / "plain.html").read_text("utf-8")
    assert "<script" not in plain
    assert "script-src" not in plain


def test_a_file_name_that_is_no_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    view = View(clustering([""], [0], ["a"], ids=[name]), left_out=(LeftOut(name, "why"),))
    assert "caf?.jpg" in read(write(view, tmp_path / "report.html")).words()


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    view = View(clustering([""], [0], ["a"]))
    (tmp_path / "taken").mkdir()
    for target in (tmp_path / "taken", tmp_path / "missing" / "report.html"):
        with pytest.raises(RunError, match="cannot be written") as error:
            write(view, target)
        assert str(target) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_old_report_stays_until_the_new_one_is_complete(tmp_path):
    class Failing(dict):
        def get(self, key, default=None):
            raise RuntimeError(key)

    target = write(View(clustering([""], [0], ["a"])), tmp_path / "report.html")
    before = target.read_bytes()
    with pytest.raises(RuntimeError):
        write(View(clustering([""], [0], ["a"]), captions=Failing()), target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


# several runs


def test_the_index_links_every_report(tmp_path):
    files = draw(tmp_path, 4)
    folder = tmp_path / "runs" / "by shape & 50% #1"
    folder.mkdir(parents=True)
    runs = [
        (clustering(files, [0, 1, 0, 1], ["red", HOSTILE[0]]), tmp_path / "runs" / "one.html"),
        (clustering(files, [0, 0, 0, -1], ["disc"], criterion="shape"), folder / "report.html"),
    ]
    for found, report in runs:
        write(View(found), report)
    page = read(write_index(runs, tmp_path / "index.html"))
    links = [link["href"] for link in page.all("a")]
    assert links[0] == "runs/one.html"
    assert "runs/by%20shape%20%26%2050%25%20%231/report.html#cluster-0" in links
    assert "shape 4 images · 1 cluster · ictc disc 3 unassigned 1" in page.words()
    assert not page.all("script")
    assert len(page.all("img")) == 3
