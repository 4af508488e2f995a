"""What sounds like speech is told from what does not, whatever its level, its rate and its place."""

import numpy as np
import pytest

from benchmarks.recordings import at_peak, breath, chair, click
from conftest import RATE, SEEDS
from kws.recordings.audio import read_audio
from kws.recordings.speech import CHUNK_S, LOUD, as_loud_as_words, likeness


@pytest.fixture(scope="module")
def salir():
    return read_audio(SEEDS / "SALIR/000_salir.wav", RATE)


def test_a_word_is_like_speech_from_its_beginning_on_and_what_is_around_it_is_not(salir):
    values = likeness(np.pad(salir, RATE), RATE)
    assert len(values) == -(-(len(salir) + 2 * RATE) // 512)
    seconds = np.arange(len(values)) * CHUNK_S
    word = (seconds > 1.15) & (seconds < 1.4)
    assert values[word].min() > 0.9
    assert values[(seconds < 0.95) | (seconds > 1.8)].max() < 0.3


def test_a_word_that_begins_its_recording_is_heard_as_one_that_does_not(salir):
    loud = np.flatnonzero(np.abs(salir) > 0.1 * np.abs(salir).max())
    cut = salir[loud[0] :]
    assert likeness(cut, RATE)[2:8].min() > 0.8


@pytest.mark.parametrize("make", [click, breath, chair])
def test_other_sounds_are_less_like_speech_than_a_word(make, salir):
    for seed in range(5):
        sound = at_peak(make(np.random.default_rng(seed)), 0.3)
        assert likeness(np.pad(sound, RATE), RATE).max() < likeness(salir, RATE).max()


def test_one_recording_leaves_no_trace_in_the_next(salir):
    before = likeness(salir, RATE)
    likeness(np.random.default_rng(0).standard_normal(RATE).astype(np.float32), RATE)
    assert np.array_equal(likeness(salir, RATE), before)


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_any_rate_will_do(rate):
    audio = read_audio(SEEDS / "SALIR/000_salir.wav", rate)
    values = likeness(audio, rate)
    assert len(values) == pytest.approx(len(audio) / rate / CHUNK_S, abs=1)
    assert values.max() > 0.9


@pytest.mark.parametrize("gain", [1e-4, 1e-2, 1.0])
def test_a_word_is_made_as_loud_whatever_its_level_and_clicks_do_not_count(salir, gain):
    audio = np.pad(salir, RATE)
    audio[100:116] = 100 * np.abs(salir).max()
    loud = as_loud_as_words(audio * np.float32(gain), RATE)
    word = loud[RATE + 2000 : RATE + 7000]
    assert 0.5 * LOUD < np.sqrt(np.mean(word**2)) < 4 * LOUD
    assert likeness(loud, RATE)[RATE // 512 :].max() > 0.9


def test_silence_stays_silent():
    assert np.array_equal(as_loud_as_words(np.zeros(RATE, np.float32), RATE), np.zeros(RATE, np.float32))
    assert likeness(np.zeros(RATE, np.float32), RATE).max() < 0.3
