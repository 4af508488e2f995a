"""The word in a recording is found, whatever else is to be heard, and never cut."""

import csv
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.recordings import (
    HUMAN,
    at_peak,
    at_rms,
    breath,
    bump,
    chair,
    clean,
    click,
    hum,
    keys,
    rumble,
    thump,
)
from conftest import RATE, REAL, SEEDS, real
from kws.augment.noise import coloured
from kws.recordings.audio import audio_files, read_audio, read_recording
from kws.recordings.word import find_word, search, word_of

WORDS = sorted(p for p in SEEDS.rglob("*.wav"))


def faint(n: int, rms: float = 3e-4, seed: int = 0) -> np.ndarray:
    """A quiet room."""
    return at_rms(coloured(n, 2, RATE, seed), rms)


def spoken(label: str, peak: float = 0.3):
    """A clean word at a peak."""
    return at_peak(clean(read_audio(next((SEEDS / label).glob("*.wav")), RATE), label, "").audio, peak)


def laid(*parts: tuple[float, np.ndarray], seconds: float = 3.0) -> np.ndarray:
    """Sounds in a quiet room, each from its second on."""
    audio = faint(round(seconds * RATE))
    for at, part in parts:
        audio[round(at * RATE) : round(at * RATE) + len(part)] += part
    return audio


def near(found: slice, at: float, word: np.ndarray, tolerance_s: float = 0.13) -> bool:
    """Say whether a take is a word that `spoken` made, which has up to 0.1 s around it."""
    edges = found.start / RATE - at, found.stop / RATE - at - len(word) / RATE
    return -0.08 <= edges[0] <= tolerance_s and -tolerance_s <= edges[1] <= 0.08


@pytest.mark.parametrize("path", WORDS, ids=lambda p: p.parent.name)
def test_the_word_keeps_nearly_all_energy_of_a_clean_recording(path):
    audio = read_audio(path, RATE)
    finding = search(audio, RATE, 1.0)
    (take,) = finding.takes
    assert np.sum(audio[take] ** 2) >= 0.9999 * np.sum(audio**2)
    assert 0.4 < (take.stop - take.start) / RATE < 1.0
    assert finding.doubts == ()


@given(
    before=st.floats(0, 2),
    after=st.floats(0, 2),
    snr_db=st.sampled_from([15, 20, 30, 60]),
    seed=st.integers(0, 99),
)
@settings(max_examples=30)
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


DISTURBANCES = {
    "desk bump": lambda r: (1.9, bump(r), 2.0),
    "switch-on thump": lambda r: (0.0, thump(r), 2.0),
    "key click": lambda r: (2.0, click(r), 2.0),
    "keys": lambda r: (1.9, keys(r), 1.0),
    "breath": lambda r: (1.9, breath(r), 0.3),
    "chair": lambda r: (1.9, chair(r), 0.4),
    "offset": lambda r: (0.0, np.ones(3 * RATE, np.float32), 0.3),
    "hum": lambda r: (0.0, hum(r, 3 * RATE), 0.2),
    "rumble": lambda r: (0.0, rumble(r, 3 * RATE), 0.7),
}
"""When it begins, what it sounds like, and its peak against that of the word."""


@pytest.mark.parametrize("peak", [0.3, 0.1, 0.01])
@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.parametrize("label", ["SALIR", "REPETIR"])
def test_a_disturbance_is_not_taken_for_the_word(label, name, peak):
    word = spoken(label, peak)
    at, sound, ratio = DISTURBANCES[name](np.random.default_rng(1))
    audio = laid((0.9, word), (at, at_peak(sound, ratio * peak)))
    finding = search(np.clip(audio - faint(len(audio)) * (1 - peak), -1, 1), RATE, 1.0)
    assert finding.doubts == ()
    (take,) = finding.takes
    assert near(take, 0.9, word)


def test_a_click_before_the_word_is_left_out_however_long_a_word_may_be(word):
    click = np.zeros(round(0.2 * RATE), np.float32)
    click[800:1200] = 0.3
    audio = np.concatenate([click, word])
    for longest_s in (0.9, 2.0):
        assert search(audio, RATE, longest_s).takes[0].start >= len(click) - 0.06 * RATE


@pytest.mark.parametrize("name", HUMAN)
def test_words_of_human_recordings_are_whole_and_fit_a_clip(name):
    audio = read_recording(real("human_es") / name, RATE)
    (found,) = search(audio, RATE, 1.0).takes
    begin, end = HUMAN[name]
    assert begin - 0.1 <= found.start / RATE <= begin
    assert end <= found.stop / RATE <= end + 0.1
    assert found.stop - found.start <= RATE


def test_a_word_spoken_slowly_is_not_cut_to_fit():
    audio = read_recording(real("human_es") / "REPETIR/000_repetir.wav", RATE)
    found = find_word(audio, RATE, 1.0)
    assert found.stop - found.start > 1.5 * RATE


def test_a_phrase_by_someone_with_hum_and_a_clipping_microphone_is_found():
    folder = REAL.parent / "people/bench"
    if not folder.is_dir():
        pytest.skip("people/bench: these recordings are not on this machine")
    table = (folder / "bench.csv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in csv.DictReader(table) if row["set"] == "precise_es"]
    audio = read_audio(folder / "precise_es.flac", RATE)
    good = 0
    for row in rows:
        start, end = (round(float(row[edge]) * RATE) for edge in ("start", "end"))
        lengths = [(take.stop - take.start) / RATE for take in search(audio[start:end], RATE, 1.2).takes]
        good += len(lengths) == 1 and 0.6 < lengths[0] <= 1.2
    assert len(rows) == 48
    assert good >= 0.9 * len(rows)


def test_a_word_said_several_times_is_several_takes():
    word = spoken("SALIR")
    slower = np.interp(np.arange(0, len(word) - 1, 0.96), np.arange(len(word)), word).astype(np.float32)
    finding = search(laid((0.2, word), (1.4, slower * 0.8), (2.9, word * 0.7), seconds=4), RATE, 1.0)
    (said,) = finding.doubts
    assert re.match(
        r"said 3 times, at 0\.\d\d to 0\.\d\d s, 1\.4\d to 2\.\d\d s, 2\.9\d to 3\.\d\d s; ", said
    )
    assert [near(take, at, word) for take, at in zip(finding.takes, (0.2, 1.4, 2.9), strict=True)] == [
        True
    ] * 3


def test_takes_by_people_are_takes():
    folder = real("fsdd") / "recordings"
    parts = [at_peak(read_audio(folder / f"7_jackson_{take}.wav", RATE), 0.3) for take in (3, 4)]
    finding = search(laid((0.5, parts[0]), (2.0, parts[1])), RATE, 1.0)
    assert len(finding.takes) == 2


def test_another_word_is_doubted_and_both_are_told_with_their_times():
    audio = laid((0.3, spoken("SALIR")), (1.7, spoken("CONTINUAR", 0.25)))
    finding = search(audio, RATE, 1.0)
    (take,) = finding.takes
    (doubt,) = finding.doubts
    times = re.fullmatch(
        r"something else sounds like speech at (\d\.\d\d) to (\d\.\d\d) s, \d dB (?:quieter|louder) than "
        r"the word at (\d\.\d\d) to (\d\.\d\d) s; cut out what is not the word",
        doubt,
    )
    said = sorted(float(t) for t in times.groups())
    assert said[0] == pytest.approx(0.35, abs=0.1)
    assert said[2] == pytest.approx(1.75, abs=0.1)
    assert float(times[3]) == pytest.approx(take.start / RATE, abs=0.01)


def test_who_speaks_far_away_is_not_the_word():
    word = spoken("SALIR")
    finding = search(laid((0.3, spoken("CONTINUAR", 0.02)), (2.0, word)), RATE, 1.0)
    (take,) = finding.takes
    assert near(take, 2.0, word)
    assert finding.doubts == ()


@pytest.mark.parametrize(("pause_s", "n_doubts"), [(0.12, 0), (0.3, 1)])
def test_a_phrase_with_a_pause_is_one_word(pause_s, n_doubts):
    audio = read_audio(SEEDS / "LEVANTADO/000_levantado.wav", RATE)
    half = 6200  # before the t
    phrase = np.concatenate([audio[:half], np.zeros(round(pause_s * RATE), np.float32), audio[half:]])
    finding = search(laid((0.5, at_peak(phrase, 0.3))), RATE, 1.5)
    (take,) = finding.takes
    assert (take.stop - take.start) / RATE > len(audio) / RATE + pause_s - 0.2
    assert len(finding.doubts) == n_doubts
    assert all("has a pause of 0." in doubt for doubt in finding.doubts)


@pytest.mark.parametrize("name", ["desk bump", "key click", "keys", "breath"])
def test_where_nothing_sounds_like_speech_nothing_is_found_and_the_message_says_so(name):
    _, sound, _ = DISTURBANCES[name](np.random.default_rng(1))
    finding = search(laid((1.0, at_peak(sound, 0.3))), RATE, 1.0)
    assert finding.takes == ()
    (cause,) = finding.doubts
    times = re.fullmatch(
        r"nothing in it sounds like speech; the loudest sound is at (\d\.\d\d) to (\d\.\d\d) s", cause
    )
    assert 0.8 < float(times[1]) < float(times[2]) < 2.0


def test_where_there_is_noise_alone_it_is_named_as_the_cause():
    finding = search(faint(3 * RATE, 0.05), RATE, 1.0)
    assert finding.takes == ()
    assert re.match(r"the noise is only \d+ dB below the loudest sound, at \d\.\d\d to ", finding.doubts[0])


def test_a_word_that_noise_comes_near_is_doubted():
    word = spoken("REPETIR")
    audio = laid((1.0, word)) + faint(3 * RATE, float(np.sqrt(np.mean(word**2))) / 10 ** (5 / 20))
    finding = search(audio, RATE, 1.0)
    (take,) = finding.takes
    assert near(take, 1.0, word, 0.2)
    assert any(re.match(r"the noise is only [3-7] dB below the word at [01]\.\d", d) for d in finding.doubts)
    assert finding.word_dbfs - finding.noise_dbfs == pytest.approx(5, abs=2.5)


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_words_are_found_at_any_rate(rate):
    audio = read_audio(SEEDS / "PRINCIPAL/000_principal.wav", rate)
    (take,) = search(np.pad(audio, (rate, rate)), rate, 1.0).takes
    assert take.start / rate == pytest.approx(1.02, abs=0.08)
    assert take.stop / rate == pytest.approx(1 + len(audio) / rate, abs=0.12)


@given(audio=arrays(np.float32, st.integers(1, 12_000), elements=st.floats(-1, 1, width=32)))
@settings(max_examples=25)
def test_whatever_it_is_given_there_is_a_best_guess_within_it(audio):
    found = find_word(audio, RATE, 1.0)
    assert 0 <= found.start < found.stop <= len(audio)
    assert all(0 <= take.start < take.stop <= len(audio) for take in search(audio, RATE, 1.0).takes)


@pytest.mark.parametrize("audio", [np.zeros(3 * RATE, np.float32), np.ones(RATE, np.float32)], ids=["0", "1"])
def test_silence_and_a_constant_are_no_word(audio):
    assert search(audio, RATE, 1.0).takes == ()


def test_every_background_recording_has_something_to_find():
    for path in audio_files(SEEDS / "FONDO"):
        assert find_word(read_audio(path, RATE)[: 10 * RATE], RATE, 1.0).stop > 0


def test_what_is_used_in_any_case_is_used_with_a_warning(tmp_path):
    audio = laid((1.0, at_peak(bump(np.random.default_rng(1)), 0.3)))
    with pytest.warns(UserWarning, match=r"a\.wav: nothing in it sounds like speech"):
        assert word_of(tmp_path / "a.wav", audio, RATE, 1.0) == find_word(audio, RATE, 1.0)


@pytest.mark.parametrize("hertz", [300, 1000, 3000])
def test_a_word_in_which_something_rings_is_not_said_twice(hertz):
    """Either half of it reaches through the tone to the edges of the whole."""
    said = read_audio(SEEDS / "SALIR/000_salir.wav", RATE)
    half = len(said) // 2
    tone = 0.3 * np.abs(said).max() * np.sin(2 * np.pi * hertz * np.arange(0.4 * RATE) / RATE)
    whole = np.concatenate([said[:half], tone, said[half:]]) / np.abs(said).max() * 0.3
    audio = 1e-3 * np.random.default_rng(0).standard_normal(4 * RATE)
    audio[RATE : RATE + len(whole)] += whole
    takes = search(audio.astype(np.float32), RATE, 1.5).takes
    assert len(takes) == 1
