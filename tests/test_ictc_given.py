"""What is given and what is seen: captions and labels before the steps ask."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from agentclust import agent, ictc
from agentclust.config import make_config
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.service.estimate import estimate
from agentclust.types import Sample
from tests.complaints import complains
from tests.plugged import Colours, noted, pictures
from tests.steps import calls, labelled, opened, through


def test_given_captions_and_labels_skip_their_steps(tmp_path):
    samples = [
        Sample("a", caption="a red ball"),
        Sample("b", raw_label="cone"),
        Sample("c", caption="a blue thing", raw_label="ball"),
    ]
    with opened(tmp_path, samples) as work:
        through(work, ictc.caption, ictc.label)
        captions = work.run.step_rows("captions").known
        labels = work.run.step_rows("labels").known
        assert {i: row["caption"] for i, row in captions.items()} == {
            "a": "a red ball",
            "c": "a blue thing",
        }
        assert {i: row["raw_label"] for i, row in labels.items()} == {
            "a": "ball",
            "b": "cone",
            "c": "ball",
        }
        assert (calls(work, "caption"), calls(work, "label")) == (0, 1)


def test_raw_labels_alone_are_a_dataset(tmp_path):
    with opened(tmp_path, labelled("ball", "cone", "ball")) as work:
        rows = through(work)
        assert [row["name"] for row in rows.values()] == ["ball", "cone", "ball"]
        assert work.run.usage() == {}


def test_a_captioner_is_asked_for_images_without_a_caption(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    folder = pictures(tmp_path / "pictures", "rg")
    samples = [
        Sample("a", folder / "secret0.png", "0"),
        Sample("b", folder / "secret1.png", "1", caption="a green square"),
    ]
    with opened(tmp_path, samples, captioner=Colours()) as work:
        through(work, ictc.caption)
        captions = work.run.step_rows("captions").known
    assert {i: row["caption"] for i, row in captions.items()} == {
        "a": "the picture is red",
        "b": "a green square",
    }
    assert [row["captioned"] for row in noted(tmp_path / "asked")] == ["secret0.png"]


class Looking(FakeModel):
    """Says which of three colours an image has, and nothing but that."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        (part,) = [p for p in messages[-1].content if p["type"] == "image_url"]
        data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
        means = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3).mean(axis=0)
        self.script = (("red", "green", "blue")[int(means.argmax())],)
        return super()._generate(messages, stop, run_manager, **kwargs)


def looking(work):
    work.captioner = Asker(Looking(), work.run.config.vlm, work.answers, Budget())


def test_a_model_that_sees_may_name_the_label_outright(tmp_path):
    folder = pictures(tmp_path / "pictures", "rgbrgb")
    samples = [Sample(f"i{n}", folder / f"secret{n}.png", f"{n}") for n in range(5)]
    samples += [Sample("told", caption="it is red"), Sample("known", raw_label="blue")]
    wanted = {"criterion": "colour", "n_clusters": 3, "vlm": "fake", "vlm_answers": "label"}
    with opened(tmp_path / "label", samples, **wanted) as work:
        looking(work)
        rows = through(work)
        assert [row["name"] for row in rows.values()] == [
            "red", "green", "blue", "red", "green", "red", "blue"
        ]  # fmt: skip
        assert list(work.run.step_rows("captions").known) == ["told"]
        assert work.run.usage()["label"].calls == 6
        assert "caption" not in work.run.usage()
        spent = sum(usage.calls for usage in work.run.usage().values())
        said = estimate(work.run.config, samples, True).calls
    with opened(tmp_path / "caption", samples, **wanted | {"vlm_answers": "caption"}) as work:
        looking(work)
        through(work)
        assert work.run.usage()["caption"].calls == 5
        assert sum(usage.calls for usage in work.run.usage().values()) > spent
        assert estimate(work.run.config, samples, True).calls == said + 5


def test_the_agent_looks_where_labels_come_from_images(tmp_path):
    folder = pictures(tmp_path / "pictures", "rgb" * 4)
    samples = [Sample(f"i{n}", folder / f"secret{n}.png", f"{n}") for n in range(12)]
    with opened(
        tmp_path, samples, criterion="colour", n_clusters=3, vlm="fake", vlm_answers="label"
    ) as work:
        looking(work)
        agent.drive(work)
        assert work.run.about()["by"] == "ictc"
        names = [work.run.step_rows("assignments").known[s.id]["name"] for s in samples]
        assert names == ["red", "green", "blue"] * 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "paper", "vlm": "fake"}, "mode=paper begins with captions"),
        ({}, "name a model that sees: --vlm M"),
        ({"vlm": "none"}, "name a model that sees: --vlm M"),
    ],
)
def test_labels_are_looked_for_by_a_model_alone(settings, said):
    values = {"dataset": "x", "criterion": "c", "n_clusters": 2, "llm": "fake"}
    with complains(said):
        make_config(values | {"vlm_answers": "label"} | settings)
