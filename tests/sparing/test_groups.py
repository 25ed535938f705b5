"""Groups found before their names, over real runs and embeddings."""

from __future__ import annotations

from zlib import crc32

from agentclust import agent, attempts, ictc
from agentclust.ictc import sparing
from tests import scenes as scenes_of
from tests.scenes import PLACES
from tests.sparing.places import CAPTIONS, place_run, right
from tests.steps import calls, through

WORDS = {"sandy": "beach", "sea": "shore", "busy": "street", "city": "crossing"}
WORDS |= {"kitchen": "kitchen", "stove": "kitchen", "forest": "forest", "trees": "forest"}


def test_names_first_where_that_is_wanted(tmp_path):
    with place_run(tmp_path, grouping="names") as work:
        rows = through(work)
        assert not work.run.step_rows("groups").known
        assert {row["by"] for row in rows.values()} <= {"label", "caption"}
        assert calls(work, "assign") < 20
        assert right(rows) > 0.95


def test_the_agent_takes_the_groups_and_needs_no_count_of_its_own(tmp_path):
    with place_run(tmp_path, n_clusters="auto") as work:
        agent.drive(work)
        assert len(work.run.read("clusters.json")["names"]) == len(PLACES)
        assert "choose_k" not in {m.name for m in agent.conversation(work.run)}
        assert right(work.run.step_rows("assignments").known) > 0.97


def test_where_naming_first_fails_the_agent_groups_by_likeness(tmp_path, monkeypatch):
    """Two words each for two of the places: the four most frequent labels leave one out."""

    def said(caption):
        return WORDS[next(word for word in WORDS if word in caption)]

    monkeypatch.setattr(scenes_of, "place_of", said)
    with place_run(tmp_path / "fixed", grouping="names") as work:
        agent.in_fixed_order(work)
        fixed = right(work.run.step_rows("assignments").known)
        paid = sum(usage.calls for usage in work.run.usage().values())
    with place_run(tmp_path / "agent", grouping="names") as work:
        agent.drive(work)
        assert right(work.run.step_rows("assignments").known) > fixed + 0.2
        assert sum(usage.calls for usage in work.run.usage().values()) <= paid + 20
        first, second = work.run.state["attempts"]
        assert work.run.state["result"] == second["folder"]
        assert "likeness" in second["why"]
        assert "likeness" not in first["why"]


def test_likeness_that_tells_no_groups_leaves_the_names(tmp_path, monkeypatch):
    """The labels are drawn by lot: captions tell nothing of them."""
    monkeypatch.setattr(scenes_of, "place_of", lambda text: list(PLACES)[crc32(text.encode()) % 4])
    with place_run(tmp_path, CAPTIONS[:60], grouping="names") as work:
        agent.drive(work)
        told = [d for d in agent.done_in(agent.conversation(work.run)) if d.tool == "group"]
        assert "no groups by likeness" in told[0].text
        assert work.run.state["result"] == work.run.state["attempts"][0]["folder"]


def test_without_rounds_names_that_came_first_stay(tmp_path):
    with place_run(tmp_path, grouping="names", max_rounds=0) as work:
        agent.drive(work)
        assert "group" not in {d.tool for d in agent.done_in(agent.conversation(work.run))}


def test_too_few_labels_for_the_groups_asked_for_are_no_groups(tmp_path):
    with place_run(tmp_path, n_clusters=7) as work:
        through(work, ictc.caption, ictc.label)
        assert sparing.groups(work) is None


def test_the_agent_notes_another_number_than_was_asked_for(tmp_path):
    with place_run(tmp_path, n_clusters=2) as work:
        agent.drive(work)
        assert any("2 groups were asked for" in note for note in work.run.state["notes"])


def test_only_the_most_doubtful_are_asked_about_again(tmp_path):
    with place_run(tmp_path) as work:
        through(work)
        names = work.run.read("clusters.json")["names"]
        rows = work.run.step_rows("assignments").known
        before = {i: row | {"confidence": 0.001 * int(i[2:])} for i, row in rows.items()}
        spent = calls(work, "assign")
        ictc.ask_again(work, before, names)
        asked = calls(work, "assign") - spent
        assert 0 < asked <= sparing.usual(300, 4)
        after = work.run.step_rows("assignments").known
        again = {i for i, row in after.items() if row["by"] == "caption"}
        assert again
        assert max(int(i[2:]) for i in again) < sparing.usual(300, 4)


def test_asking_again_keeps_the_groups_by_which_an_attempt_is_judged(tmp_path):
    with place_run(tmp_path) as work:
        agent.in_fixed_order(work)
        spent = calls(work, "assign")
        attempts.ask_again(work)
        (folder,) = [a["folder"] for a in work.run.state["attempts"] if "again" in a["why"]]
        assert work.run.rows(f"{folder}/groups.jsonl").known
        assert calls(work, "assign") - spent <= sparing.usual(300, 4)
