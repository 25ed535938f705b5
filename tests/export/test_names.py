"""Names of groups become names of folders."""

from __future__ import annotations

import pytest

from agentclust.export.names import apart, safe_file, safe_name, same


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Grün/Blau", "Grün-Blau"),
        ("日本の猫", "日本の猫"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a:b*c?", "a-b-c-"),
        ("con", "con_"),
        ("LPT1.txt", "LPT1_.txt"),
        (" ..hidden. ", "hidden"),
        ("..", "group"),
        ("\u200b", "group"),
        ("\x00\x07", "--"),
        ("\ud800x", "-x"),
        ("abc\u202egpj", "abc-gpj"),
        ("two\n lines", "two lines"),
        ("e\u0301", "é"),
    ],
)
def test_a_group_becomes_a_folder_name_that_any_disk_takes(text, name):
    assert safe_name(text, "group") == name


def test_a_long_name_is_cut_between_characters():
    name = safe_name("ü" * 300, "group")
    assert set(name) == {"ü"}
    assert len(name.encode()) <= 120


def test_a_file_keeps_its_suffix():
    assert safe_file("nul.jpeg", "image") == ("nul_", ".jpeg")
    assert safe_file("a.b.c.PNG", "image") == ("a.b.c", ".PNG")
    assert safe_file("no suffix. here", "image") == ("no suffix. here", "")


@pytest.mark.parametrize("other", ["Cat", "CAT", "cat\u200b"])
def test_names_that_are_one_on_a_disk_without_case_are_kept_apart(other):
    assert same(other) == same("cat")
    assert apart(other, "", {same("cat")}) == f"{other} (2)"


def test_accents_written_in_two_ways_are_one_name():
    assert same("É") == same("e\u0301")
