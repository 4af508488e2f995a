"""Text from elsewhere is shown as it is, but for what a terminal would obey."""

import json

from hypothesis import given
from hypothesis import strategies as st

from kws.common.terminal import plain, plain_json


def test_letters_stay_and_orders_go():
    assert plain("MÚSICA 音.wav") == "MÚSICA 音.wav"
    assert plain("a\x1b[31;1mb\x1b]0;title\x07c\x1b[2Jd") == "abcd"
    assert plain("a\r\nb\tc\0\x9b1m\u202e") == r"a\r\nb\tc\0\x9b1m\u202e"
    assert plain("a\nb", keep="\n") == "a\nb"
    assert plain(b"\xff.wav".decode("utf-8", "surrogateescape")) == r"\udcff.wav"


@given(st.text())
def test_any_text_fits_on_one_line(text):
    assert plain(text).isprintable()


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.sampled_from([None, 2]))
def test_json_says_the_same_and_moves_no_cursor(value, indent):
    text = plain_json(value, indent)
    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()
    assert indent or "\n" not in text
