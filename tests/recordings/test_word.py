"""The word in a recording is found and never cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import RATE, SEEDS, real
from kws.recordings.audio import audio_files, read_audio, read_recording
from kws.recordings.word import find_word

WORDS = sorted(p for p in SEEDS.rglob("*.wav"))


@pytest.mark.parametrize("path", WORDS, ids=lambda p: p.parent.name)
def test_the_word_keeps_nearly_all_energy_of_a_clean_recording(path):
    audio = read_audio(path, RATE)
    word = audio[find_word(audio, RATE, 1.0)]
    assert np.sum(word**2) >= 0.9999 * np.sum(audio**2)
    assert 0.4 < len(word) / RATE < 1.0


@given(
    before=st.floats(0, 2),
    after=st.floats(0, 2),
    snr_db=st.sampled_from([20, 30, 60]),
    seed=st.integers(0, 99),
)
def test_the_word_is_found_anywhere_in_a_noisy_recording(before, after, snr_db, seed):
    speech = read_audio(SEEDS / "CANCELAR/000_cancelar.wav", RATE)
    expected = find_word(speech, RATE, 1.0)
    audio = np.pad(speech, (round(before * RATE), round(after * RATE)))
    noise = np.random.default_rng(seed).standard_normal(len(audio)).astype(np.float32)
    audio = audio + noise * (np.sqrt(np.mean(speech**2)) / 10 ** (snr_db / 20)).astype(np.float32)
    found = find_word(audio, RATE, 1.0)
    shift = round(before * RATE)
    assert found.start == pytest.approx(shift + expected.start, abs=0.12 * RATE)
    assert found.stop == pytest.approx(shift + expected.stop, abs=0.12 * RATE)


def test_a_click_is_dropped_only_where_the_word_would_not_fit_with_it(word):
    click = np.zeros(round(0.2 * RATE), np.float32)
    click[800:1200] = 0.3
    audio = np.concatenate([click, word])
    assert find_word(audio, RATE, 0.9).start >= len(click) - 0.06 * RATE
    assert find_word(audio, RATE, 2.0).start < 1200


HUMAN = {
    "ACOPLAR/000_acoplar.wav": (0.53, 1.37),
    "CANCELAR/000_cancelar.wav": (0.30, 1.10),
    "CONTINUAR/000_continuar.wav": (0.44, 1.28),
    "LEVANTADO/000_levantado.wav": (0.36, 1.28),
    "PRINCIPAL/000_principal.wav": (0.34, 1.20),
    "REPETIR/001_repetir.wav": (0.40, 1.28),
    "SALIR/000_salir.wav": (0.35, 0.95),
}
"""Begin and end of the word in seconds, read off the waveforms."""


@pytest.mark.parametrize("name", HUMAN)
def test_words_of_human_recordings_are_whole_and_fit_a_clip(name):
    audio = read_recording(real("human_es") / name, RATE)
    found = find_word(audio, RATE, 1.0)
    begin, end = HUMAN[name]
    assert begin - 0.1 <= found.start / RATE <= begin
    assert end <= found.stop / RATE <= end + 0.1
    assert found.stop - found.start <= RATE


def test_a_word_spoken_slowly_is_not_cut_to_fit():
    audio = read_recording(real("human_es") / "REPETIR/000_repetir.wav", RATE)
    found = find_word(audio, RATE, 1.0)
    assert found.stop - found.start > 1.5 * RATE


def test_every_background_recording_has_something_to_find():
    for path in audio_files(SEEDS / "FONDO"):
        audio = read_audio(path, RATE)
        assert find_word(audio, RATE, 1.0).stop > 0
