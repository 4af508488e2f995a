"""A label is a name: it may become a folder, a topic and an argument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.labels import LONGEST, check_labels, is_label


@pytest.mark.parametrize(
    "label", ["SALIR", "MÚSICA", "MU\u0301SICA", "हिन्दी", "on-off_2", "7", "x" * LONGEST]
)
def test_names_in_any_script_are_labels(label):
    assert is_label(label)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "../x",
        "/etc",
        "a b",
        "-rf",
        "_x",
        "A;touch x",
        "$(x)",
        "a\n",
        "a.b",
        "\x1b[2J",
        "R&D",
        "a" * 61,
        "\u202ea",
    ],
)
def test_what_a_shell_a_path_or_a_terminal_would_read_is_none(label):
    assert not is_label(label)
    with pytest.raises(ValueError, match="expected letters, digits, _ and -"):
        check_labels(["SALIR", label])


def test_each_label_is_there_once():
    check_labels(["SI", "NO"])
    with pytest.raises(ValueError, match="labels holds one name twice: SI NO SI"):
        check_labels(["SI", "NO", "SI"])


@given(st.text())
def test_a_label_is_one_plain_part_of_a_path(text):
    if is_label(text):
        assert text.isprintable() and not set(text) & set("/\\.:;&|<>$`'\"*?#+ ")
        assert len(text.encode()) < 256
