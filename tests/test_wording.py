import pytest

from agentclust.wording import common, count, frequent, is_unknown, merge, normalise


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("cat", "cat"),
        ("  A Cat.  ", "cat"),
        ("The cat\nBecause it has whiskers.", "cat"),
        ("\n\ncat", "cat"),
        ("1. cat", "cat"),
        ("(2) cat", "cat"),
        ("3) cat", "cat"),
        ("- cat", "cat"),
        ("* the cat", "cat"),
        ("• 4: a cat", "cat"),
        ("Answer: cat", "cat"),
        ("The label is: cat", "cat"),
        ("label = cat", "cat"),
        ('label for "main object" is: cat', "cat"),
        ("**Answer:** cat", "cat"),
        ("`cat`", "cat"),
        ('"Cat"', "cat"),
        ("“Cat”", "cat"),
        ("«cat»", "cat"),
        ("<cat>", "cat"),
        ("[cat]", "cat"),
        ("wild_cat", "wild cat"),
        ("wild \t cat", "wild cat"),
        ("\uff23\uff21\uff34", "cat"),
        ("Katze, schwarz", "katze, schwarz"),
        ("ÄRGER", "ärger"),
        ("貓", "貓"),
        ("3d printer", "3d printer"),
        ("10.5 mm", "10.5 mm"),
        ("another cat", "another cat"),
        ("theatre", "theatre"),
        ("a", "a"),
        ("labels", "labels"),
        ("", ""),
        (" \n ", ""),
        ("...", ""),
        ("x" * 100, "x" * 60),
    ],
)
def test_normalise(answer, label):
    assert normalise(answer) == label


@pytest.mark.parametrize("answer", ["A Cat.", "1. The cat", "Answer: 'x'", "x " * 50])
def test_a_label_stays_what_it_is(answer):
    assert normalise(normalise(answer)) == normalise(answer)


@pytest.mark.parametrize("answer", ["unknown", "Unknown.", "None", "N/A", "not mentioned", ""])
def test_is_unknown(answer):
    assert is_unknown(normalise(answer))


@pytest.mark.parametrize("answer", ["cat", "unknown bird", "nonesuch"])
def test_is_known(answer):
    assert not is_unknown(normalise(answer))


def test_plurals_are_merged_where_the_singular_occurs():
    words = ["cats", "cat", "puppies", "puppy", "wolves", "wolf", "knives", "knife", "boxes", "box"]
    words += ["women", "woman", "men", "man", "horses", "horse", "dogs", "news", "bus", "glass"]
    words += ["as", "a", "is", "i", "s"]
    merged = merge(dict.fromkeys(words, 1))
    assert list(merged) == words
    changed = {label: target for label, target in merged.items() if label != target}
    assert changed == {
        "cats": "cat",
        "puppies": "puppy",
        "wolves": "wolf",
        "knives": "knife",
        "boxes": "box",
        "women": "woman",
        "men": "man",
        "horses": "horse",
    }


def test_count():
    assert list(count(["b", "a", "c", "a", "b", "d"]).items()) == [
        ("a", 2), ("b", 2), ("c", 1), ("d", 1),
    ]  # fmt: skip
    assert count([]) == {}


def test_common_is_relative_to_the_number_of_images():
    counts = {"a": 50, "b": 30, "c": 15, "d": 4, "e": 1}
    assert list(common(counts)) == ["a", "b", "c"]
    assert list(common({name: 100 * n for name, n in counts.items()})) == ["a", "b", "c"]
    assert list(common(counts, share=0.96)) == ["a", "b", "c", "d"]
    assert list(common(counts, share=1)) == list(counts)
    assert list(common(counts, most=2)) == ["a", "b"]
    assert common(counts)["b"] == 30
    assert common({}) == {}


def test_a_small_set_keeps_its_labels():
    counts = dict.fromkeys("abcdefgh", 1)
    assert common(counts) == counts


def test_frequent():
    counts = {"a": 97, "b": 2, "c": 1}
    assert frequent(counts) == ["a", "b"]
    assert frequent(counts, share=0.5) == ["a"]
    assert frequent({}) == []


def test_many_labels_have_a_limit():
    counts = {f"label {number}": 1 for number in range(500)}
    assert len(common(counts)) == 120
    assert common(counts, most=3) == {f"label {number}": 1 for number in range(3)}
