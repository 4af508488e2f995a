"""Clips: each transform does what it says, and a clip depends on seed, label and index alone."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE, ROOT, SEEDS
from kws.augment.noise import add_noise, gaussian, power
from kws.augment.placement import fade_edges, place, start_position
from kws.augment.recipe import Recipe
from kws.augment.render import render, render_block
from kws.augment.room import reverberate
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.augment.voice import change_voice
from kws.config import Rooms, load_params
from kws.errors import UserError
from kws.parallel import map_blocks
from kws.rirs import simulate
from kws.splits import TRAIN, VAL, partition, split_of

ROOMS = Rooms(count=2, size_m=((3, 6), (3, 5), (2.4, 3)), rt60_s=(0.2, 0.5))


@pytest.fixture(scope="module")
def rirs():
    return np.stack([simulate(ROOMS, i, seed=1, rate=RATE) for i in range(4)])


@pytest.fixture(scope="module")
def recipes(rirs):
    params = load_params(ROOT / "params.yaml")
    augment = params.augment.model_copy(update={"per_class": 60, "fondo_minutes": 1.0})
    background = read_bank(SEEDS / "FONDO", RATE)
    words = Sources(read_words(SEEDS / "SALIR", RATE, 1.0), background, empty_bank(), rirs)
    speech = Sources(empty_bank(), background, read_bank(ROOT / "data/negatives/em_alex", RATE), rirs)
    return [
        Recipe("SALIR", True, 1, augment, RATE, RATE, words),
        Recipe("FONDO", False, 1, augment, RATE, RATE, speech),
    ]


def f0(audio):
    """Fundamental frequency of the most periodic 64 ms, in Hz, by autocorrelation."""
    best = (0.0, 0.0)
    for start in range(0, len(audio) - 1024, 256):
        frame = audio[start : start + 1024] - audio[start : start + 1024].mean()
        correlation = np.correlate(frame, frame, "full")[1023:]
        if correlation[0] > 1:
            lag = 40 + int(correlation[40:320].argmax())
            best = max(best, (correlation[lag] / correlation[0], RATE / lag))
    return best[1]


@pytest.mark.parametrize("semitones", [-5, -2, 3, 6])
def test_pitch_moves_by_what_was_asked_and_duration_stays(word, semitones):
    changed = change_voice(word, RATE, semitones, 1)
    assert len(changed) == len(word)
    assert 12 * np.log2(f0(changed) / f0(word)) == pytest.approx(semitones, abs=0.7)


@pytest.mark.parametrize("duration", [0.75, 0.9, 1.3])
def test_duration_moves_by_what_was_asked_and_pitch_stays(word, duration):
    changed = change_voice(word, RATE, 0, duration)
    assert len(changed) == pytest.approx(len(word) * duration, abs=1)
    assert 12 * np.log2(f0(changed) / f0(word)) == pytest.approx(0, abs=0.7)


def test_a_neutral_change_of_voice_is_none(word):
    assert change_voice(word, RATE, 0, 1) is word


def test_a_room_keeps_the_energy_and_the_time_of_the_word(word, rirs):
    for rir in rirs:
        wet = reverberate(word, rir)
        assert len(wet) == len(word) + len(rir) - 1
        assert power(wet) * len(wet) == pytest.approx(power(word) * len(word), rel=1e-4)
        lag = np.correlate(np.abs(wet[: len(word)]), np.abs(word), "same").argmax() - len(word) // 2
        assert abs(lag) < 0.03 * RATE


def test_simulated_rooms_start_at_the_direct_path_and_decay_as_asked(rirs):
    for rir in rirs:
        assert np.abs(rir).argmax() <= 8
        assert np.sum(rir**2) == pytest.approx(1, rel=1e-4)
        decay = 10 * np.log10(np.cumsum(rir[::-1] ** 2)[::-1] + 1e-12)
        rt60 = 3 * ((decay < -25).argmax() - (decay < -5).argmax()) / RATE
        assert 0.1 < rt60 < 0.8


def test_rooms_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"augment\.rooms: no room of size_m can have rt60_s"):
        simulate(ROOMS.model_copy(update={"rt60_s": (0.001, 0.002)}), 0, 1, RATE)


@given(snr_db=st.floats(-10, 40), start=st.integers(0, 8000), seed=st.integers(0, 99), white=st.booleans())
def test_noise_is_at_the_asked_snr_over_the_word(snr_db, start, seed, white):
    word = np.sin(np.arange(6000) / 9).astype(np.float32) * np.hanning(6000).astype(np.float32)
    clip, active = place(word, start, RATE), slice(start, min(RATE, start + 6000))
    noise = gaussian(RATE, seed) if white else np.cumsum(gaussian(RATE, seed))
    noisy = add_noise(clip, noise, snr_db, active)
    measured = 10 * np.log10(power(clip[active]) / power((noisy - clip)[active]))
    assert measured == pytest.approx(snr_db, abs=0.1)


def test_silent_noise_changes_nothing(word):
    assert add_noise(word, np.zeros_like(word), 0, slice(0, 100)) is word


@given(length=st.integers(1, RATE), shift=st.floats(-20000, 20000))
def test_the_whole_sound_is_always_inside(length, shift):
    start = start_position(length, RATE, shift)
    assert 0 <= start <= RATE - length
    assert np.count_nonzero(place(np.ones(length, np.float32), start, RATE)) == length


def test_edges_fade_without_a_step(word):
    faded = fade_edges(np.ones(1000, np.float32))
    assert faded[0] == faded[-1] == 0
    assert np.abs(np.diff(faded)).max() < 0.02
    assert len(fade_edges(word)) == len(word)


@given(index=st.integers(0, 59), which=st.integers(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_clips_are_sound(recipes, index, which, seed):
    recipe = dataclasses.replace(recipes[which], seed=seed)
    clip = recipe.draw(index)
    audio = render(clip, recipe.sources, RATE, RATE)
    assert audio.shape == (RATE,)
    assert audio.dtype == np.int16
    assert len(np.unique(audio)) > 50
    assert np.mean(np.abs(audio.astype(int)) >= 32760) < 0.01
    assert 0 <= clip.start <= clip.start + clip.length <= RATE


def test_the_whole_word_is_in_every_clip(recipes):
    recipe = recipes[0]
    for index in range(60):
        clip = recipe.draw(index)
        assert clip.source_length == recipe.sources.words.length(clip.source)
        assert clip.length == pytest.approx(clip.source_length * clip.duration, abs=1)


def test_rows_render_the_same_audio_again(recipes):
    for recipe in recipes:
        rows, audio = render_block(recipe, range(5, 9))
        again = [render(row, recipe.sources, RATE, RATE) for row in rows]
        assert np.array_equal(np.stack(again), audio)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_clips_do_not_depend_on_workers_or_blocks(recipes, monkeypatch, workers):
    monkeypatch.setenv("KWS_WORKERS", str(workers))
    for recipe in recipes:
        expected = render_block(recipe, range(40))
        blocks = list(map_blocks(partial(render_block, recipe), 40, block=4 if workers > 1 else 40))
        assert [row for rows, _ in blocks for row in rows] == expected[0]
        assert np.array_equal(np.concatenate([audio for _, audio in blocks]), expected[1])


def test_splits_share_no_file_and_no_room(recipes):
    for recipe in recipes:
        rows = [recipe.draw(index) for index in range(recipe.n_clips)]
        train, val = ([r for r in rows if r.split == split] for split in (TRAIN, VAL))
        assert len(val) == round(0.15 * len(rows))
        assert not {r.noise for r in train} & {r.noise for r in val} - {"", "gaussian"}
        assert not {r.rir for r in train} & {r.rir for r in val} - {-1}
        if not recipe.is_keyword:
            assert not {r.source for r in train} & {r.source for r in val}


@given(n=st.integers(0, 50), share=st.floats(0.01, 0.99), least=st.integers(2, 5))
def test_partition_covers_everything_once(n, share, least):
    items = [f"item {i}" for i in range(n)]
    parts = partition(items, share, least)
    if n < least:
        assert parts[TRAIN] == parts[VAL] == items
    else:
        assert sorted(parts[TRAIN] + parts[VAL]) == sorted(items)
        assert not set(parts[TRAIN]) & set(parts[VAL])
        assert parts[TRAIN]
        assert parts[VAL]


def test_the_last_clips_validate_and_no_split_is_empty():
    assert [split_of(i, 10, 0.2) for i in range(10)] == [TRAIN] * 8 + [VAL] * 2
    for share in (0.001, 0.999):
        assert {split_of(i, 8, share) for i in range(8)} == {TRAIN, VAL}
