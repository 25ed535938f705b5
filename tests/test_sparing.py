"""Labels of exemplars, and groups found before their names, over real runs and embeddings."""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
import pytest

from agentclust import agent, attempts, ictc
from agentclust.errors import RequestRefused
from agentclust.ictc import kinds, sparing
from agentclust.metrics import external
from agentclust.models.fake import FakeModel
from agentclust.types import Sample, State, Usage
from tests import scenes as scenes_of
from tests.scenes import PLACES, Placing, scenes
from tests.steps import calls, captioned, opened

STEPS = (ictc.caption, ictc.label, ictc.name, ictc.assign)
CAPTIONS, TRUTH = scenes(300)
WORDS = {"sandy": "beach", "sea": "shore", "busy": "street", "city": "crossing"}
WORDS |= {"kitchen": "kitchen", "stove": "kitchen", "forest": "forest", "trees": "forest"}


def place_run(folder, captions=CAPTIONS, model=None, **settings):
    values = {"criterion": "place", "n_clusters": len(PLACES), "embedder": "minilm"} | settings
    return opened(folder, captioned(*captions), model or Placing(), **values)


def through(work, *steps):
    for step in steps or STEPS:
        step(work)
    return work.run.step_rows("assignments").known


def right(rows, truth=TRUTH):
    return external(np.asarray(truth), np.array([row["cluster"] for row in rows.values()])).acc


def test_a_few_calls_group_many_samples(tmp_path):
    with place_run(tmp_path) as work:
        rows = through(work)
        labels = work.run.step_rows("labels").known
        assert len(rows) == len(labels) == 300
        assert right(rows) > 0.97
        asked = [row for row in labels.values() if "by" not in row]
        assert len(asked) == sparing.usual(300, 4) == 64
        assert calls(work, "label") <= 64 / 2
        assert sorted(work.run.read("clusters.json")["names"]) == sorted(PLACES)
        assert {row["by"] for row in rows.values()} == {"likeness"}
        for row in rows.values():  # the votes of the clusterings tell which groups come next
            assert row["likely"][0] == [row["cluster"], row["confidence"]]
            assert len({cluster for cluster, _ in row["likely"]}) == len(row["likely"]) == 4
            assert sum(p for _, p in row["likely"]) == pytest.approx(1, abs=0.001)


def test_most_labels_by_likeness_are_what_the_model_would_have_said(tmp_path):
    with place_run(tmp_path) as work:
        through(work, ictc.caption, ictc.label)
        labels = work.run.step_rows("labels").known
        spread = [(i, row["label"]) for i, row in labels.items() if row.get("by") == "likeness"]
        assert np.mean([TRUTH[int(i[2:])] == label for i, label in spread]) > 0.95
        assert set(sparing.asked(work)).isdisjoint(i for i, _ in spread)


class Knowing(Placing):
    """A model that gives each place another word each time, and knows which words are one kind."""

    refuses: str = ""
    n_kinds: int = len(PLACES)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        result = super()._generate(messages, stop, run_manager, **kwargs)
        message = result.generations[0].message
        message.content = re.sub(r"(?m)^(.*?)(\w+)$", _saying, str(message.content))
        return result

    def states(self, prompts):
        texts = [str(prompt[-1].text) for prompt in prompts]
        if self.refuses and any(self.refuses in text for text in texts):
            raise RequestRefused("prompt", "is too long", "shorten it")
        rows = [next(i for i, p in enumerate(PLACES) if SAID[p][0] in t) for t in texts]
        return [
            State.of(self.kind(*known), Usage(1, 20)) for known in zip(rows, texts, strict=True)
        ]

    def kind(self, row, text):
        """The kind of a place, and a little that is the word's own."""
        own = np.random.default_rng(crc32(text.encode())).normal(0, 0.02, 16)
        return np.eye(16)[row % self.n_kinds] + own


SAID = {  # words that nobody would take for the place, but the model
    place: (f"q{i}", *(f"q{i}{letter}" for letter in "abcdefgh")) for i, place in enumerate(PLACES)
}


def _saying(found):
    """The line with one of the words for its place, told by where in the answer it stands."""
    before, place = found.groups()
    return before + (SAID[place][1 + found.start() % 8] if place in SAID else place)


def test_labels_are_compared_by_the_kind_that_the_model_has_in_mind(tmp_path):
    with place_run(tmp_path, model=Knowing(), focus=False) as work:
        rows = through(work)
        differ = set(sparing.asked(work).values())
        assert len(differ) > 2 * len(PLACES)
        assert calls(work, "kind") == len(differ)
        assert work.run.usage()["kind"].prompt_tokens == 20 * len(differ)
        found = kinds.of_labels(work, sorted(differ))
        assert found is not None
        assert len(found) == len(differ)
        alike = found @ found.T
        same = np.array([[a[:2] == b[:2] for b in sorted(differ)] for a in sorted(differ)])
        assert alike[same].min() > 0.9 > 0.3 > alike[~same].max()
        assert calls(work, "kind") == len(differ)  # paid for once
        assert right(rows) > 0.95


def test_places_of_one_kind_are_one_group_whatever_their_captions_say(tmp_path):
    """Beaches and forests, kitchens and streets: what captions say alone does not pair them so."""
    halves = [list(PLACES).index(place) % 2 for place in TRUTH]
    found = {}
    for on in (True, False):
        model = Knowing(n_kinds=2)
        with place_run(tmp_path / str(on), model=model, n_clusters=2, kinds=on) as work:
            found[on] = right(through(work), halves)
    assert found[True] > 0.95 > 0.8 > found[False]


def test_states_that_do_not_differ_tell_nothing():
    assert not kinds.reduced(np.ones((1, 8), dtype=np.float32)).any()
    assert not kinds.reduced(np.ones((5, 8), dtype=np.float32)).any()


@pytest.mark.parametrize("how", ["switched off", "no states", "one refused"])
def test_labels_are_compared_by_the_embedder_alone_where_no_kind_is_told(tmp_path, how):
    model = Placing() if how == "no states" else Knowing(refuses="q1b" if "one" in how else "")
    with place_run(tmp_path, model=model, kinds=how != "switched off") as work:
        assert kinds.of_labels(work, ["q0a", "q1b", "q2c"]) is None
        assert calls(work, "kind") == (2 if how == "one refused" else 0)


def test_what_an_answer_leaves_out_is_asked_by_itself(tmp_path):
    model = Placing(leaves_out=2)
    with place_run(tmp_path, model=model) as work:
        through(work, ictc.caption, ictc.label)
        asked = sparing.asked(work)
        assert len(asked) == 64
        assert all(TRUTH[int(i[2:])] == label for i, label in asked.items())
        packs = [n for n in model.held if n > 1]
        assert model.held.count(1) >= len(packs) > 0


def test_long_captions_do_not_share_a_prompt(tmp_path):
    model = Placing()
    with place_run(
        tmp_path, [f"{text} {'It is day. ' * 60}" for text in CAPTIONS[:140]], model
    ) as work:
        through(work, ictc.caption, ictc.label)
        assert set(model.held) == {1}


@pytest.mark.parametrize("settings", [{"exemplars": "all"}, {"embedder": "tfidf"}])
def test_every_sample_is_asked_about_where_that_is_wanted_or_the_only_way(tmp_path, settings):
    with place_run(tmp_path, **settings) as work:
        through(work, ictc.caption, ictc.label)
        assert len(sparing.asked(work)) == 300
        assert calls(work, "label") == len(set(CAPTIONS))


def test_small_sets_are_asked_about_as_a_whole(tmp_path):
    with place_run(tmp_path, CAPTIONS[:60]) as work:
        rows = through(work)
        assert len(sparing.asked(work)) == 60
        assert calls(work, "label") <= 60 / 2
        assert {row["by"] for row in rows.values()} == {"likeness"}
        assert right(rows, TRUTH[:60]) > 0.95


def test_likeness_says_little_of_very_few(tmp_path):
    with place_run(tmp_path, CAPTIONS[:29]) as work:
        rows = through(work)
        assert calls(work, "label") == len(set(CAPTIONS[:29]))
        assert not work.run.step_rows("groups").known
        assert right(rows, TRUTH[:29]) > 0.9


def test_labels_that_captions_do_not_tell_are_followed_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tests.scenes.place_of", lambda text: list(PLACES)[crc32(text.encode()) % len(PLACES)]
    )
    with place_run(tmp_path, CAPTIONS[:60]) as work:
        through(work)
        assert not work.run.step_rows("groups").known
        names, labels = work.run.read("clusters.json")["names"], sparing.asked(work)
        rows = work.run.step_rows("assignments").known
        assert all(names[row["cluster"]] == labels[i] for i, row in rows.items())


@pytest.mark.parametrize("number", [30, 180])
def test_a_number_of_exemplars_is_kept(tmp_path, number):
    with place_run(tmp_path, exemplars=number) as work:
        through(work, ictc.caption, ictc.label)
        # of equal captions one is asked about: there are fewer different ones than samples
        assert 0.9 * number <= len(sparing.asked(work)) <= number


def test_names_first_where_that_is_wanted(tmp_path):
    with place_run(tmp_path, grouping="names") as work:
        rows = through(work)
        assert not work.run.step_rows("groups").known
        assert {row["by"] for row in rows.values()} <= {"label", "caption"}
        assert calls(work, "assign") < 20
        assert right(rows) > 0.95


def test_labels_that_tell_nothing_are_asked_for_again_and_again(tmp_path):
    class Chance(Placing):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            random = np.random.default_rng(len(str(messages)))
            lines = [f"{n}. {random.choice(list(PLACES))}" for n in range(1, 9)]
            self.script = ("\n".join(lines),)
            return super(Placing, self)._generate(messages, stop, run_manager, **kwargs)

    captions, _ = scenes(1200)
    with place_run(tmp_path, captions, Chance()) as work:
        through(work, ictc.caption, ictc.label)
        assert len(sparing.asked(work)) > 4 * sparing.usual(1200, 4) * 0.9
        (note,) = work.run.state["notes"]
        assert "hardly tell" in note
        assert "exemplars=all" in note


def test_a_label_step_that_stopped_goes_on_with_the_same_prompts(tmp_path):
    with place_run(tmp_path / "a") as work:
        through(work)
        whole = (work.run.attempt / "assignments.jsonl").read_bytes()
    with place_run(tmp_path / "b") as work:
        ictc.caption(work)
        (samples, _), *_ = [next(iter(sparing.rounds(work)))]
        rows = work.run.step_rows("labels")
        for sample in samples[:5]:  # a part of the first answer
            label = TRUTH[int(sample.id[2:])]
            rows.append({"id": sample.id, "raw_label": label, "label": label})
        through(work, *STEPS[1:])
        assert (work.run.attempt / "assignments.jsonl").read_bytes() == whole


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


def test_captions_without_a_label_beside_raw_labels_that_are_given(tmp_path):
    samples = [sample for sample in captioned(*CAPTIONS[:40])]
    given = [Sample(f"raw{n}", raw_label="beach") for n in range(3)]
    values = {"criterion": "place", "n_clusters": 2, "embedder": "minilm"}
    with opened(tmp_path, [*samples, *given], FakeModel(script=("",)), **values) as work:
        through(work, ictc.caption, ictc.label)
        assert set(sparing.asked(work)) == {sample.id for sample in given}
        assert sparing.groups(work) is None
