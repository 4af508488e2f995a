"""When a word has been said, and what is thought of a take."""

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from conftest import RATE
from kws.collect.places import Place
from kws.collect.take import BLOCK_S, QUIET_S, background_take, is_over, word_take
from kws.collect.view import MUTED

OWN = 44100
QUIET = [-60.0] * 20
"""A second before the recording."""


def blocks(seconds: float, level: float) -> list[float]:
    return [level] * round(seconds / BLOCK_S)


def ends_at(before, levels):
    """The block after which a recording ends, or None."""
    return next((n for n in range(1, len(levels) + 1) if is_over(before, levels[:n])), None)


def test_a_recording_ends_a_second_after_the_word():
    levels = blocks(0.7, -60) + blocks(0.6, -20) + blocks(3, -60)
    assert ends_at(QUIET, levels) == round((0.7 + 0.6 + QUIET_S) / BLOCK_S)


def test_a_pause_in_a_word_does_not_end_it():
    levels = blocks(0.5, -60) + blocks(0.4, -20) + blocks(0.6, -60) + blocks(0.4, -22) + blocks(2, -60)
    assert ends_at(QUIET, levels) == round((0.5 + 0.4 + 0.6 + 0.4 + QUIET_S) / BLOCK_S)


def test_nothing_said_a_click_and_a_noise_that_stays_do_not_end_it():
    assert ends_at(QUIET, blocks(5, -60)) is None
    assert ends_at(QUIET, [*blocks(1, -60), -15.0, *blocks(3, -60)]) is None
    assert ends_at(blocks(1, -30), blocks(5, -30)) is None


def test_what_was_heard_before_is_no_word():
    assert ends_at(blocks(0.5, -60) + blocks(0.5, -20), blocks(4, -60)) is None


def test_a_word_at_once_and_after_a_microphone_without_noise_ends_it():
    assert ends_at(QUIET, blocks(0.6, -20) + blocks(2, -60)) == round((0.6 + QUIET_S) / BLOCK_S)
    assert ends_at(blocks(1, -120), blocks(0.6, -20) + blocks(2, -120)) == round((0.6 + QUIET_S) / BLOCK_S)


@given(st.lists(st.floats(-120, 0), max_size=20), st.lists(st.floats(-120, 0), min_size=1, max_size=100))
def test_any_levels_are_looked_at(before, levels):
    assert is_over(before, levels) in (True, False)


def room(seconds):
    return (1e-3 * np.random.default_rng(0).standard_normal(round(seconds * OWN))).astype(np.float32)


def said(word, gain=0.5, at=1.0, seconds=3.0):
    """A word in a quiet room at 44.1 kHz."""
    audio, fine = room(seconds), soxr.resample(word, RATE, OWN)
    audio[round(at * OWN) : round(at * OWN) + len(fine)] += gain * fine
    return np.clip(audio, -1, 1)


@pytest.fixture
def place(tmp_path):
    return Place("REPETIR", tmp_path / "REPETIR")


def test_a_good_take_has_numbers_and_its_word_is_played(word, front_end, place):
    take = word_take(said(word), OWN, place, front_end)
    assert take.usable
    assert take.notes == []
    assert take.summary().plain.endswith(": fine")
    assert take.row.seconds == pytest.approx(len(word) / RATE, abs=0.15)
    assert take.row.snr_db is not None
    assert take.row.snr_db > 20
    assert 0.7 * OWN < take.played.start < 1.05 * OWN
    assert (1.0 + len(word) / RATE) * OWN - 0.1 * OWN < take.played.stop < 2.3 * OWN


def test_clipping_is_counted_where_it_happened(word, front_end, place):
    """At the microphone's rate: resampled, few samples are at full scale."""
    take = word_take(said(word, 30), OWN, place, front_end)
    assert take.usable
    assert any("clipped" in note for note in take.notes)
    assert take.summary().plain.endswith(": doubtful")
    assert take.row.peak_dbfs == 0


@pytest.mark.parametrize("judge", [word_take, background_take])
def test_zeros_are_a_muted_microphone(front_end, place, judge):
    take = judge(np.zeros(OWN, np.float32), OWN, place, front_end)
    assert (take.usable, take.notes) == (False, [MUTED])
    assert take.summary().plain == "cannot be used"


def test_what_holds_no_word_is_never_fine(front_end, place):
    take = word_take(room(3), OWN, place, front_end)
    assert take.notes
    assert not take.summary().plain.endswith("fine")
    assert str(place.folder) not in take.notes[0]


def test_a_background_is_taken_as_it_is_unless_it_is_clipped(front_end, place):
    quiet = background_take(room(12), OWN, place, front_end)
    assert (quiet.usable, quiet.notes) == (True, [])
    assert quiet.row.seconds == pytest.approx(12)
    assert "noise" not in quiet.summary().plain
    loud = background_take(np.clip(2000 * room(2), -1, 1), OWN, place, front_end)
    assert loud.usable
    assert "of its samples are clipped; turn the microphone down" in loud.notes[0]
    assert "it is only 2.0 s long" in loud.notes[1]


def test_hardly_anything_is_no_recording(front_end, place):
    take = word_take(room(0.05), OWN, place, front_end)
    assert (take.usable, take.notes) == (
        False,
        ["it is 0.05 s long; a recording of a word takes 0.2 to 10 s"],
    )
