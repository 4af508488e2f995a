"""Offset, rumble, hum and hiss are taken out of a recording; the word in it stays, where it was."""

import numpy as np
import pytest
from scipy.signal import correlate

from benchmarks.recordings import at_rms, hum, rumble
from conftest import RATE
from kws.recordings.cleaning import without_noise, without_rumble


def level(audio: np.ndarray) -> float:
    return 10 * np.log10(np.mean(audio.astype(np.float64) ** 2) + 1e-20)


def cleaned(audio: np.ndarray) -> np.ndarray:
    return without_noise(without_rumble(audio, RATE), RATE)


@pytest.mark.parametrize(
    ("name", "less_db"), [("offset", 60), ("rumble", 15), ("hum", 15), ("white noise", 12)]
)
def test_what_lies_beneath_all_along_is_taken_out(word, name, less_db):
    random = np.random.default_rng(1)
    rms = float(np.sqrt(np.mean(word**2)))
    n = len(word) + 2 * RATE
    noise = {
        "offset": np.full(n, rms, np.float32),
        "rumble": at_rms(rumble(random, n), rms),
        "hum": at_rms(hum(random, n), rms / 2),
        "white noise": at_rms(random.standard_normal(n).astype(np.float32), rms / 3),
    }[name]
    audio = cleaned(np.pad(word, RATE) + noise)
    silence = slice(RATE // 4, 3 * RATE // 4)
    assert level(audio[silence]) < level(noise[silence]) - less_db
    assert level(audio[RATE:-RATE]) == pytest.approx(level(without_rumble(word, RATE)), abs=1.5)


def test_nothing_moves(word):
    audio = np.pad(word, RATE)
    both = correlate(cleaned(audio), audio)
    assert int(both.argmax()) == len(audio) - 1


@pytest.mark.parametrize("n", [1, 10, 500, 4000])
def test_short_and_constant_audio_is_no_trouble(n):
    assert cleaned(np.ones(n, np.float32)) == pytest.approx(np.zeros(n), abs=1e-5)
