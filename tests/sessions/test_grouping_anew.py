"""Another criterion, another number of groups, or groups that a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentclust.agent import in_fixed_order
from agentclust.models.asking import Asker
from agentclust.models.budget import Budget
from agentclust.models.fake import FakeModel
from agentclust.sessions import Session
from agentclust.types import Sample
from tests.pictures import draw
from tests.sessions.talking import answered_by, finish, state, table, total_calls
from tests.steps import captioned, labelled, opened


def test_another_criterion_is_another_attempt(session, work):
    session.say("/merge violin, cello as strings")
    session.say("/move id4 to harp")
    before = table(session)
    answer = session.say("cluster by mood instead")
    assert answer.changed
    assert "by 'mood'" in session.say("/show").text
    assert session.clustering().criterion == "mood"
    assert len(work.run.state["attempts"]) == 2
    assert "strings" not in session.grouping.names
    compared = session.say("compare with the first attempt").text
    assert "9 images: 0 moved between attempt 01-instrument and the result" in compared
    assert session.say("/undo").changed
    assert table(session) == before
    assert session.clustering().criterion == "instrument"
    asked = total_calls(work)
    assert session.say("/redo").changed
    assert session.clustering().criterion == "mood"
    assert total_calls(work) == asked


def test_another_number_keeps_labels_and_what_a_person_placed(session, work):
    session.say("/move id4 to harp")
    usage = work.run.usage()
    answered_by(session, FakeModel())
    assert session.say("make it 3 groups").changed
    assert len(session.grouping.names) == 3
    assert work.run.usage()["label"] == usage["label"]
    if "harp" in session.grouping.names:
        assert session.grouping.rows["id4"]["name"] == "harp"


def test_given_groups_with_and_without_the_rest(session):
    session.say("/move id4 to harp")
    assert session.say("/use harp, violin").changed
    assert session.grouping.names == ("harp", "violin")
    assert session.grouping.rows["id4"]["by"] == "person"
    assert table(session)["id5"] == ""
    session.say("use these groups: harp, tuba and whatever else you find")
    assert session.grouping.names[:2] == ("harp", "tuba")
    assert set(session.grouping.names) > {"harp", "tuba"}
    session.say("/groups 3")
    assert session.grouping.names[:2] == ("harp", "tuba")
    assert len(session.grouping.names) == 3
    history = session.say("/history").text
    assert "clustered into harp and tuba and whatever else there is" in history


class Words:
    """A captioner that knows no criterion, and answers in turn."""

    def __init__(self, identity: str, *words: str) -> None:
        self.identity, self.words = identity, list(words)

    def caption(self, image: Any) -> str:
        return self.words.pop(0)


def pictured(folder: Path) -> list[Sample]:
    files = [draw(folder / f"{i}.png", colour=colour) for i, colour in enumerate(COLOURS)]
    return [Sample(f"id{i}", file, f"digest {i}", (12, 8)) for i, file in enumerate(files)]


COLOURS = ("red", "green", "blue")


def test_captions_that_know_no_criterion_are_kept_for_another(tmp_path):
    spoken = Words("first", "a ball", "a cone", "a ball")
    with opened(tmp_path, pictured(tmp_path), captioner=spoken) as work:
        finish(work)
        captions = dict(work.run.step_rows("captions").known)
        work.captioner = Words("second")  # has nothing to say
        assert Session(work).say("/by colour").changed
        assert work.run.step_rows("captions").known == captions


def test_a_model_that_sees_captions_again_for_another_criterion(tmp_path):
    with opened(tmp_path, pictured(tmp_path)) as work:
        seeing = FakeModel(script=("a ball", "a cone"))
        work.captioner = Asker(seeing, work.run.config.vlm, work.answers, Budget())
        finish(work)
        assert work.run.usage()["caption"].calls == 3
        assert Session(work).say("/by colour").changed
        assert work.run.usage()["caption"].calls == 6


def test_given_raw_labels_are_for_the_first_criterion(tmp_path):
    known = [("a ball in red", "ball"), ("a cone in green", "cone"), ("a ball in green", "ball")]
    samples = [Sample(f"id{i}", caption=c, raw_label=label) for i, (c, label) in enumerate(known)]
    with opened(tmp_path, samples) as work:
        finish(work)
        session = Session(work)
        assert session.say("/by colour").changed
        assert set(session.grouping.names) == {"red", "green"}


def test_raw_labels_alone_say_nothing_of_another_criterion(tmp_path):
    with opened(tmp_path, labelled("ball", "cone", "ball")) as work:
        finish(work)
        session = Session(work)
        before = state(session)
        assert "raw labels alone" in session.say("/by colour").text
        assert state(session) == before
        assert session.say("/use ball, cone").changed


def test_a_merge_holds_for_another_number_of_groups(tmp_path):
    captions = [f"somebody with a {word}" for word in ("violin", "cello", "harp", "flute") * 4]
    with opened(tmp_path, captioned(*captions), n_clusters=4) as work:
        in_fixed_order(work)
        talk = Session(work)
        assert talk.say("/merge violin cello as strings").changed
        answer = talk.say("make it 2 groups")
        assert len(talk.grouping.names) == 2, answer.text
        assert talk.say("make it 3 groups").changed
        assert sorted(talk.grouping.names) == ["flute", "harp", "strings"]
        assert talk.say("/undo").changed
        assert talk.say("/redo").changed
        assert sorted(talk.grouping.names) == ["flute", "harp", "strings"]
        assert Session(work).grouping == talk.grouping
