"""The replay of reviews knows what was said where."""

import numpy as np

from docs.review_rounds import PAUSE_S, RATE, between, said_at
from kws.evaluation.streams import Spoken


def test_words_lie_where_they_are_said_to_and_no_talk_is_lost():
    talk = np.full(10 * RATE, 0.1, np.float32)
    words = [("SI", np.full(RATE, 0.5, np.float32)), ("NO", np.full(RATE // 2, 0.7, np.float32))]
    audio, spoken = between(talk, words)
    assert [one.label for one in spoken] == ["SI", "NO"]
    for one, (_, word) in zip(spoken, words, strict=True):
        assert np.array_equal(audio[round(one.start * RATE) : round(one.end * RATE)], word)
    assert len(audio) == len(talk) + sum(len(word) for _, word in words) + 4 * round(PAUSE_S * RATE)
    assert np.count_nonzero(audio == np.float32(0.1)) == len(talk)


def test_a_clip_is_the_word_in_its_window_or_none():
    spoken = [Spoken("SI", 5.0, 5.8), Spoken("NO", 20.0, 20.5)]
    assert said_at(6.0, 1.0, spoken) == "SI"
    assert said_at(20.3, 1.0, spoken) == "NO"
    assert said_at(4.9, 1.0, spoken) is None
    assert said_at(8.0, 1.0, spoken) is None
