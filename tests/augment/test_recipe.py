"""Clips: each transform does what it says, and a clip depends on seed, shard and index alone."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pyroomacoustics as pra
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import RATE, ROOT, SEEDS
from kws.augment.channel import add_floor, colour, set_level, soft_clip
from kws.augment.clips import make_clips, read_manifest
from kws.augment.formant import move_formants
from kws.augment.fragments import fragment, fragment_length
from kws.augment.noise import add_noise, blend, coloured, power
from kws.augment.placement import fade_edges, place, start_position
from kws.augment.recipe import Recipe
from kws.augment.render import render, render_block
from kws.augment.room import reverberate
from kws.augment.rooms import align, simulate, taps
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.augment.splits import TRAIN, VAL, partition, split_of
from kws.augment.voice import change_voice
from kws.common.errors import UserError
from kws.params.compose import compose
from kws.params.sections import Rooms
from kws.params.whole import load_params
from kws.recordings.audio import read_audio, to_float
from kws.report.wavs import write_wavs

ROOMS = Rooms(count=2, size_m=((3, 6), (3, 5), (2.4, 3)), rt60_s=(0.2, 0.5))
NONE = ROOT / "data/none"
HARD = ("entering", "leaving", "beginning", "end", "swapped", "reversed", "joined")


@pytest.fixture(scope="session")
def rirs():
    return np.stack([simulate(ROOMS, i, seed=1, rate=RATE) for i in range(4)])


def make_recipes(rirs, preset, folder):
    compose(ROOT / "conf", folder / "params.yaml", [f"augment={preset}"])
    augment = load_params(folder / "params.yaml").augment
    background = read_bank(SEEDS / "FONDO", RATE)
    words = {label: read_words(label, SEEDS, NONE, RATE, 1.0) for label in ("SALIR", "REPETIR", "ACOPLAR")}
    speech = read_bank(ROOT / "data/negatives/em_alex", RATE)
    one = Sources({"SALIR": words["SALIR"]}, background, empty_bank(), rirs)
    common = (1, augment, RATE, RATE)
    return [
        Recipe("SALIR", "SALIR", 60, {"keyword": 1}, *common, one),
        Recipe(
            "FONDO",
            "FONDO",
            60,
            {"speech": 0.5, "background": 0.5},
            *common,
            Sources({}, background, speech, rirs),
        ),
        Recipe(
            "_hard",
            "FONDO",
            60,
            dict.fromkeys(HARD, 1),
            *common,
            Sources(words, background, empty_bank(), rirs),
        ),
    ]


@pytest.fixture(scope="session")
def wide(rirs, tmp_path_factory):
    return make_recipes(rirs, "wide", tmp_path_factory.mktemp("wide"))


@pytest.fixture(scope="session")
def seed(rirs, tmp_path_factory):
    return make_recipes(rirs, "seed", tmp_path_factory.mktemp("seed"))[:2]


# Voice


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


def envelope(audio):
    """Long-term spectral envelope in log power, smoothed by its cepstrum: where the formants are."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, 512)[::128] * np.hanning(512)
    cepstrum = np.fft.irfft(np.log(np.mean(np.abs(np.fft.rfft(frames, 1024)) ** 2, axis=0) + 1e-9))
    cepstrum[24:-24] = 0
    return np.fft.rfft(cepstrum).real


def formant_octaves(before, after):
    """The shift on a log frequency axis that lays one envelope over the other."""
    hertz, grid = np.arange(513) * 8000 / 512, np.geomspace(300, 3500, 600)
    source = np.interp(grid, hertz, envelope(before))
    shifts = np.linspace(-0.6, 0.6, 241)
    fits = [np.corrcoef(source, np.interp(grid * 2**s, hertz, envelope(after)))[0, 1] for s in shifts]
    return shifts[int(np.argmax(fits))]


@pytest.mark.parametrize("octaves", [-0.35, -0.2, 0.2, 0.35])
@pytest.mark.parametrize("semitones", [-7, -3, 0, 3, 7])
def test_formants_pitch_and_duration_move_separately(word, octaves, semitones):
    duration = 1.0 if semitones else 1.2
    changed = change_voice(word, RATE, 2**octaves, semitones, duration)
    assert formant_octaves(word, changed) == pytest.approx(octaves, abs=0.08)
    assert 12 * np.log2(f0(changed) / f0(word)) == pytest.approx(semitones, abs=0.7)
    assert len(changed) == pytest.approx(len(word) * duration, abs=1)


@pytest.mark.parametrize("duration", [0.75, 0.9, 1.3])
def test_duration_alone_leaves_pitch_and_formants(word, duration):
    changed = change_voice(word, RATE, 1, 0, duration)
    assert len(changed) == pytest.approx(len(word) * duration, abs=1)
    assert 12 * np.log2(f0(changed) / f0(word)) == pytest.approx(0, abs=0.7)
    assert formant_octaves(word, changed) == pytest.approx(0, abs=0.03)


def test_pitch_alone_leaves_the_formants(word):
    assert formant_octaves(word, change_voice(word, RATE, 1, 6, 1)) == pytest.approx(0, abs=0.05)


def test_formants_that_follow_the_pitch_are_left_to_the_transposition(word):
    for semitones in (-0.7, 1, 3.3):
        formant = 2 ** (semitones / 12)
        assert move_formants(word, RATE, formant / 2 ** (semitones / 12)) is word
        changed = change_voice(word, RATE, formant, semitones, 1)
        assert formant_octaves(word, changed) == pytest.approx(semitones / 12, abs=0.05)


def test_a_neutral_change_of_voice_is_none(word):
    assert change_voice(word, RATE, 1, 0, 1) is word


@given(n=st.integers(1, 5000), factor=st.floats(0.5, 2))
@settings(max_examples=30)
def test_moving_formants_keeps_length_and_silence(n, factor):
    assert np.array_equal(move_formants(np.zeros(n, np.float32), RATE, factor), np.zeros(n))


# Room


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


def test_measured_rooms_are_aligned_and_of_unit_energy():
    measured = np.concatenate([np.zeros(900), [0.01, 2, -1], 0.5 ** np.arange(9)])
    aligned = align(measured, 400)
    assert (len(aligned), int(np.abs(aligned).argmax())) == (400, 8)
    assert np.sum(aligned**2) == pytest.approx(1)
    assert taps(ROOMS, RATE) == 9600


def test_rooms_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"augment\.rooms: no room of size_m can have rt60_s"):
        simulate(ROOMS.model_copy(update={"rt60_s": (0.001, 0.002)}), 0, 1, RATE)


# Noise


@given(
    snr_db=st.floats(-10, 40),
    start=st.integers(0, 8000),
    slopes=st.lists(st.floats(-6, 9), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_noise_is_at_the_asked_snr_over_the_word(snr_db, start, slopes, seed):
    word = np.sin(np.arange(6000) / 9).astype(np.float32) * np.hanning(6000).astype(np.float32)
    clip, active = place(word, start, RATE), slice(start, min(RATE, start + 6000))
    noise = blend([coloured(RATE, slope, RATE, seed + i) for i, slope in enumerate(slopes)], active)
    noisy = add_noise(clip, noise, snr_db, active)
    measured = 10 * np.log10(power(clip[active]) / power((noisy - clip)[active]))
    assert measured == pytest.approx(snr_db, abs=0.1)


def test_blended_sources_are_equally_loud_over_the_word(fan):
    active = slice(4000, 9000)
    white = coloured(RATE, 0, RATE, 1)
    both = blend([fan[:RATE], white], active)
    assert power(both[active]) == pytest.approx(2, rel=0.1)
    assert np.allclose(both - blend([white], active), blend([fan[:RATE]], active), atol=1e-4)


def test_silent_noise_changes_nothing(word):
    assert add_noise(word, np.zeros_like(word), 0, slice(0, 100)) is word
    assert not blend([np.zeros(100, np.float32)], slice(0, 50)).any()


@pytest.mark.parametrize("slope", [-3, 0, 3, 6])
def test_coloured_noise_falls_as_asked(slope):
    spectrum = np.abs(np.fft.rfft(coloured(64 * RATE, slope, RATE, 3))) ** 2
    hertz = np.fft.rfftfreq(64 * RATE, 1 / RATE)
    bands = [10 * np.log10(spectrum[(hertz >= f) & (hertz < 2 * f)].mean()) for f in (250, 500, 1000, 2000)]
    assert np.diff(bands) == pytest.approx([-slope] * 3, abs=0.2)


# Microphone


def test_band_limits_and_bands_shape_the_spectrum():
    white = coloured(RATE * 8, 0, RATE, 1)
    shaped = colour(white, RATE, [0, 0, 0, 12, 0, 0], 300, 3400)
    gain = np.abs(np.fft.rfft(shaped)) / np.abs(np.fft.rfft(white))
    hertz = np.fft.rfftfreq(len(white), 1 / RATE)

    def at(f):
        return 20 * np.log10(gain[np.abs(hertz - f).argmin()])

    assert at(50) < -50
    assert at(7500) < -25
    assert at(300) == pytest.approx(-3, abs=0.5)
    assert at(np.geomspace(100, 7200, 6)[3]) == pytest.approx(12, abs=0.5)


def test_colour_moves_nothing_in_time(word):
    click = np.zeros(RATE, np.float32)
    click[5000] = 1
    assert colour(click, RATE, [6, -6, 6, -6, 6, -6], 100, 6000).argmax() == 5000


@given(level=st.floats(-60, 0))
def test_the_peak_is_at_the_level(level):
    audio = set_level(np.sin(np.arange(1000) / 7).astype(np.float32) * 0.01, level)
    assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(level, abs=0.01)


def test_soft_clipping_flattens_peaks_and_keeps_their_level(word):
    clipped = soft_clip(word, 20)
    assert np.abs(clipped).max() == pytest.approx(np.abs(word).max(), rel=1e-3)
    assert power(clipped) > 4 * power(word)
    assert soft_clip(word, 0) is word


def test_the_floor_has_its_level_and_offset():
    floor = add_floor(np.zeros(10 * RATE, np.float32), 0.003, -60, 1)
    assert floor.mean() == pytest.approx(0.003, abs=1e-4)
    assert 20 * np.log10(floor.std()) == pytest.approx(-60, abs=0.1)


# Placement and fragments


@given(length=st.integers(1, RATE), shift=st.floats(-20000, 20000))
def test_the_whole_sound_is_always_inside(length, shift):
    start = start_position(length, RATE, shift)
    assert 0 <= start <= RATE - length
    assert np.count_nonzero(place(np.ones(length, np.float32), start, RATE)) == length


def test_edges_fade_without_a_step():
    faded = fade_edges(np.ones(1000, np.float32))
    assert faded[0] == faded[-1] == 0
    assert np.abs(np.diff(faded)).max() < 0.02


@given(kind=st.sampled_from(HARD), n=st.integers(10, 900), m=st.integers(10, 900), cut=st.floats(0.1, 0.9))
def test_fragments_are_parts_of_their_words_and_never_a_whole_one(kind, n, m, cut):
    word, other = np.arange(1, n + 1, dtype=np.float32), -np.arange(1, m + 1, dtype=np.float32)
    sound = fragment(kind, word, other, cut)
    assert len(sound) == fragment_length(kind, n, m, cut)
    if kind in ("entering", "leaving", "beginning", "end"):
        assert len(sound) <= 0.9 * n + 1
        assert np.array_equal(
            sound, word[: len(sound)] if kind in ("entering", "beginning") else word[n - len(sound) :]
        )
    if kind == "reversed":
        assert np.array_equal(sound[::-1], word)
    if kind == "joined":
        assert (sound[: round(n * cut)] >= 0).all()
        assert (sound[round(n * cut) :] <= 0).all()


# Clips


def all_recipes(wide, seed):
    return [*wide, *seed]


@given(index=st.integers(0, 59), which=st.integers(0, 4), number=st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_clips_are_sound(wide, seed, index, which, number):
    recipe = dataclasses.replace(all_recipes(wide, seed)[which], seed=number)
    clip = recipe.draw(index)
    audio = render(clip, recipe.sources, RATE, RATE)
    assert audio.shape == (RATE,)
    assert audio.dtype == np.int16
    assert len(np.unique(audio)) > 20
    assert np.mean(np.abs(audio.astype(int)) >= 32760) < 0.01
    assert 0 <= clip.start <= clip.start + clip.length <= RATE
    assert clip.label == recipe.label


def test_the_whole_word_is_in_every_clip_of_a_keyword(wide, seed):
    for recipe in (wide[0], seed[0]):
        for index in range(60):
            clip = recipe.draw(index)
            assert clip.source_length == recipe.sources.words["SALIR"].length(clip.source)
            assert clip.length == pytest.approx(clip.source_length * clip.duration, abs=1)


def test_words_that_slide_in_or_out_touch_the_edge_of_the_window(wide):
    rows = [wide[2].draw(index) for index in range(60)]
    assert {row.kind for row in rows} == set(HARD)
    assert all(row.start + row.length == RATE for row in rows if row.kind == "entering")
    assert all(row.start == 0 for row in rows if row.kind == "leaving")
    assert all(row.source.split("/")[0] != row.other.split("/")[0] for row in rows if row.kind == "joined")


def test_no_digital_silence_around_a_noisy_word(wide):
    for recipe in wide:
        for index in range(0, 60, 3):
            audio = render(recipe.draw(index), recipe.sources, RATE, RATE)
            quiet = np.abs(audio.astype(int)).reshape(100, -1).max(axis=1)
            assert quiet.min() > 0, recipe.draw(index)


def test_the_seed_recipe_uses_none_of_the_newer_transforms(seed):
    for recipe in seed:
        for row in (recipe.draw(index) for index in range(60)):
            newer = (row.eq_db, row.level_dbfs, row.drive_db, row.floor_dbfs)
            assert newer == ((), None, 0, None)
            assert row.formant == 2 ** (row.semitones / 12)
            assert abs(row.semitones) <= 1
            assert 0.9 <= row.duration <= 1.1
            assert len(row.noise) <= 1
            assert "coloured" not in row.noise


def test_rooms_do_not_depend_on_the_number_of_cores(wide):
    rooms = wide[0].augment.rooms
    expected = simulate(rooms, 0, 1, RATE)
    for cores in (1, 3, 64):
        pra.constants.set("num_threads", cores)
        assert np.array_equal(simulate(rooms, 0, 1, RATE), expected)


@pytest.mark.parametrize("workers", ["1", "2", "4"])
def test_clips_do_not_depend_on_workers_or_blocks(wide, monkeypatch, tmp_path, workers):
    monkeypatch.setenv("KWS_WORKERS", workers)
    monkeypatch.setattr("kws.common.parallel.map_blocks.__defaults__", (60 if workers == "1" else 7,))
    for recipe in wide:
        make_clips(tmp_path / recipe.name, recipe)
        rows, audio = render_block(recipe, range(60))
        assert np.array_equal(np.load(tmp_path / recipe.name / "clips.npy"), audio)
        assert read_manifest(tmp_path / recipe.name / "manifest.csv") == rows


def test_any_clip_is_made_again_from_its_row(wide, tmp_path):
    for recipe in wide:
        make_clips(tmp_path / recipe.name, recipe)
        clips = np.load(tmp_path / recipe.name / "clips.npy")
        for row in read_manifest(tmp_path / recipe.name / "manifest.csv")[::7]:
            assert np.array_equal(render(row, recipe.sources, RATE, RATE), clips[row.index])


def test_a_foreign_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("index,label\n0,SALIR\n")
    with pytest.raises(UserError, match="not a manifest of this version"):
        read_manifest(tmp_path / "manifest.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 3000), spoilt=st.binary(max_size=9), kept=st.floats(0, 1) | st.just(1.0))
def test_bytes_that_are_no_manifest_are_one_line(wide, tmp_path, at, spoilt, kept):
    path = tmp_path / "clips/manifest.csv"
    if not path.exists():
        make_clips(tmp_path / "whole", dataclasses.replace(wide[0], n_clips=8))
        path.parent.mkdir()
    data = bytearray((tmp_path / "whole/manifest.csv").read_bytes())
    data[at : at + len(spoilt)] = spoilt
    path.write_bytes(data[: round(kept * len(data))])
    try:
        for row in read_manifest(path):
            assert isinstance(row.index, int)
            assert isinstance(row.snr_db, float)
    except UserError as error:
        assert str(error).startswith(f"{path}: not a manifest of this version")
        assert "\n" not in str(error)


def test_no_transform_uses_or_disturbs_global_random_state(wide):
    states = []
    for number in (1, 2):
        np.random.seed(number)  # noqa: NPY002
        random.seed(number)
        before = (random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002
        states.append(np.concatenate([render_block(recipe, range(20))[1] for recipe in wide]))
        assert random.getstate() == before[0]
        assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert np.array_equal(*states)


def test_splits_share_no_file_and_no_room(wide):
    for recipe in wide:
        rows = [recipe.draw(index) for index in range(recipe.n_clips)]
        train, val = ([r for r in rows if r.split == split] for split in (TRAIN, VAL))
        assert len(val) == 9
        files = [{name for r in part for name in r.noise} - {"gaussian", "coloured"} for part in (train, val)]
        assert not files[0] & files[1]
        assert not {r.rir for r in train} & {r.rir for r in val} - {-1}
        if recipe.name == "FONDO":
            assert not {r.source for r in train} & {r.source for r in val}


def test_splits_share_no_recording_where_there_are_three(wide):
    words = {"SALIR": read_words("SALIR", SEEDS, ROOT / "data/voices", RATE, 1.0)}
    recipe = dataclasses.replace(
        wide[0], sources=dataclasses.replace(wide[0].sources, words=words), n_clips=300
    )
    rows = [recipe.draw(index) for index in range(300)]
    train, val = ({r.source for r in rows if r.split == split} for split in (TRAIN, VAL))
    assert not train & val
    assert train | val == set(words["SALIR"].names)


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


# WAV files


def test_clips_become_wav_files_to_listen_to(wide, tmp_path):
    make_clips(tmp_path / "SALIR", wide[0])
    clips = np.load(tmp_path / "SALIR/clips.npy")
    paths = list(write_wavs(tmp_path / "SALIR", tmp_path / "out", 5, RATE, original=False))
    assert len(paths) == 5
    for path in paths:
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        assert np.array_equal(samples, clips[int(path.name[:5])])
        assert "_keyword_000_salir_" in path.name


def test_the_originals_folder_layout(wide, tmp_path):
    make_clips(tmp_path / "SALIR", wide[0])
    paths = list(write_wavs(tmp_path / "SALIR", tmp_path / "out", None, RATE, original=True))
    assert paths[0] == tmp_path / "out/SALIR/salir_00000.wav"
    assert paths[-1] == tmp_path / "out/SALIR/salir_00059.wav"
    first = to_float(np.load(tmp_path / "SALIR/clips.npy")[0])
    assert np.array_equal(read_audio(paths[0], RATE), first)


def test_a_label_without_clips_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"nothing: no clips of that label; run `dvc repro augment` first"):
        list(write_wavs(Path(tmp_path / "nothing"), tmp_path, 1, RATE, original=False))
