"""A label is the name of a folder on every computer."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.common.labels import same_folder, wrong_name


@pytest.mark.parametrize("name", ["SALIR", "no_se", "paso-2", "2", "MÚSICA", "साफ़", "はい", "x" * 100])
def test_words_of_any_language_are_names(name):
    assert wrong_name(unicodedata.normalize("NFC", name)) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BUENOS DIAS", "; write BUENOS_DIAS"),
        ("R&D", "; write R_D"),
        ("$(touch x)", "; write touch_x"),
        ("../../x", "; write x"),
        ("/etc", "; write etc"),
        ("a\nb", "; write a_b"),
        ("\x1b[2J", "; write 2J"),
        ("_hard", "; write hard"),
        ("-rf", "; write rf"),
        ("!!", "begins with one of the first two"),
        ("", "begins with one of the first two"),
        ("\ud800", "begins with one of the first two"),
        ("con", "a device is called on Windows; write con_"),
        ("LPT1", "a device is called on Windows; write LPT1_"),
        ("x" * 101, "100 bytes at the most"),
        (unicodedata.normalize("NFD", "MÚSICA"), "write MÚSICA (NFC)"),
    ],
)
def test_what_is_no_name_says_what_to_write(name, says):
    wrong = wrong_name(name)
    assert wrong.endswith(says) or says in wrong
    assert "\n" not in wrong


@given(st.text())
def test_what_is_proposed_is_a_name(text):
    wrong = wrong_name(text)
    if wrong and "; write " in wrong:
        assert wrong_name(wrong.rpartition("; write ")[2].removesuffix(" (NFC)")) is None


@given(st.text())
def test_a_name_is_one_folder_that_no_shell_reads(text):
    if wrong_name(text) is None:
        assert not set(text) & set(" \t\n/\\:*?\"'<>|&;$`(){}[]!#~.^%")
        assert not text.startswith(("-", "_"))
        assert unicodedata.is_normalized("NFC", text)


def test_names_that_are_one_folder_elsewhere():
    assert same_folder("Luz") == same_folder("LUZ")
    assert same_folder("MÚSICA") == same_folder(unicodedata.normalize("NFD", "música"))
    assert same_folder("LUZ") != same_folder("LUCES")
