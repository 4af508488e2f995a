"""Recordings are read whatever they are, or refused in one line that names the file."""

import io
import os
import struct
import sys
import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import RATE, real
from kws.common.errors import UserError
from kws.recordings.audio import (
    audio_files,
    drop_copies,
    read_audio,
    read_recording,
    to_float,
    to_int16,
    write_sound,
)
from kws.recordings.soundfiles import open_sound, read_frames


def tone(rate: int, seconds: float = 0.5, hertz: float = 440, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_format_and_rate_gives_the_same_tone(tmp_path, suffix, rate):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(rate), rate)
    audio = read_audio(path, RATE)
    assert audio.dtype == np.float32
    assert abs(len(audio) - RATE / 2) <= 1
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    assert spectrum.argmax() * RATE / len(audio) == pytest.approx(440, abs=3)
    assert np.abs(audio[1000:-1000]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read as audio"),
        (b"this is not audio at all" * 9, "cannot be read as audio"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "cannot be read as audio"),
    ],
)
def test_what_is_not_audio_is_refused(tmp_path, content, says):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"bad\.wav: {says}"):
        read_audio(path, RATE)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros(0, np.float32), "is empty"),
        (np.full(RATE, np.nan, np.float32), "NaN"),
        (np.zeros(RATE, np.float32), "is silent"),
        (tone(RATE, 0.1), "0.10 s long"),
        (tone(RATE, 11), "11.00 s long"),
    ],
)
def test_unusable_recordings_are_refused(tmp_path, samples, says):
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=rf"bad\.wav.*{says}"):
        read_recording(path, RATE)


def test_a_folder_is_listed_in_order(tmp_path):
    for name in ("b.wav", "a.FLAC", "sub/c.ogg", "d.m4a", "e.OPUS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in audio_files(tmp_path)] == ["a.FLAC", "b.wav", "d.m4a", "e.OPUS", "c.ogg"]


LITTER = (
    ".DS_Store",
    "._luz.wav",
    ".directory",
    ".hidden/luz.wav",
    "desktop.ini",
    "Desktop.ini",
    "Thumbs.db",
    "Icon\r",
    "luz.wav.Zone.Identifier",
    "luz.wav:Zone.Identifier",
    "__MACOSX/luz.wav",
    "@eaDir/luz.wav",
)


@pytest.mark.parametrize("name", [n for n in LITTER if sys.platform != "win32" or not set(n) & set(":\r")])
def test_what_systems_leave_behind_is_passed_over_in_silence(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for path in (tmp_path / name, tmp_path / "luz.wav"):
        path.touch()
    assert audio_files(tmp_path) == [tmp_path / "luz.wav"]


def test_other_files_are_passed_over_and_named_once(tmp_path):
    for name in ("luz.wav", "notes.txt", "sub/photo.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.warns(UserWarning) as warned:
        assert audio_files(tmp_path) == [tmp_path / "luz.wav"]
    said = f"{tmp_path}: notes.txt, sub/photo.jpg are no sound files by their names; passed over"
    assert [str(w.message) for w in warned] == [said]
    for n in range(9):
        (tmp_path / f"a{n}.doc").touch()
    with pytest.warns(UserWarning, match=r"a4\.doc and 6 more are no sound files"):
        audio_files(tmp_path)


def test_folders_that_are_links_are_listed_too(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    soundfile.write(tmp_path / "elsewhere/word.wav", tone(RATE), RATE)
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices/anna").symlink_to(tmp_path / "elsewhere")
    assert audio_files(tmp_path / "voices") == [tmp_path / "voices/anna/word.wav"]


def test_folders_that_hold_no_audio_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        audio_files(tmp_path / "absent")
    with pytest.raises(UserError, match="holds no audio"):
        audio_files(tmp_path)
    (tmp_path / "notes.txt").touch()
    with (
        pytest.warns(UserWarning, match=r"notes\.txt is no sound file by its name; passed over"),
        pytest.raises(UserError, match="holds no audio; put at least one recording in it: WAV, FLAC"),
    ):
        audio_files(tmp_path)


@pytest.mark.parametrize("gain", [0.3, -1.0])
def test_copies_are_found_whatever_their_level_and_sign(tmp_path, word, gain):
    recordings = {
        tmp_path / "a.wav": word,
        tmp_path / "b.wav": word * np.float32(gain),
        tmp_path / "c.wav": word[::-1].copy(),
    }
    with pytest.warns(UserWarning, match=r"b\.wav: has the same content as a\.wav"):
        kept = drop_copies(recordings)
    assert [path.name for path in kept] == ["a.wav", "c.wav"]


def test_copies_among_human_recordings_are_found():
    files = audio_files(real("human_es") / "REPETIR")
    with pytest.warns(UserWarning, match="same content") as warned:
        kept = drop_copies({path: read_recording(path, RATE) for path in files})
    assert len(warned) == 2
    assert [path.name for path in kept] == ["000_repetir.wav", "001_repetir.wav", "002_repetir.wav"]


def test_pcm_round_trip_is_exact_and_clips():
    pcm = np.array([-32768, -1, 0, 1, 32767], np.int16)
    assert np.array_equal(to_int16(to_float(pcm)), pcm)
    assert np.array_equal(to_int16(np.array([-2, 2], np.float32)), [-32768, 32767])


def encoded(form, subtype=None, rate=RATE, seconds=1.0):
    file = io.BytesIO()
    soundfile.write(file, tone(rate, seconds), rate, format=form, subtype=subtype)
    return file.getvalue()


CODED = {
    "wav": encoded("WAV", "PCM_16"),
    "float.wav": encoded("WAV", "FLOAT"),
    "flac": encoded("FLAC"),
    "ogg": encoded("OGG", "VORBIS"),
    "opus.ogg": encoded("OGG", "OPUS", 48000),
    "aiff": encoded("AIFF"),
    "au": encoded("AU"),
    "w64": encoded("W64"),
}
FUZZED = CODED | {"caf": encoded("CAF"), "mp3": encoded("MP3"), "gsm.wav": encoded("WAV", "GSM610", 8000)}


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("name", CODED)
def test_a_recording_that_is_cut_off_is_refused(tmp_path, name, kept):
    path = tmp_path / name
    path.write_bytes(CODED[name])
    whole = read_audio(path, RATE)
    path.write_bytes(CODED[name][: int(kept * len(CODED[name]))])
    with pytest.raises(UserError, match=rf"{name}: .*(copy|again)") as caught:
        read_recording(path, RATE)
    assert "\n" not in str(caught.value)
    assert len(whole) == RATE


def test_an_ogg_that_is_cut_off_says_where_it_ends(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(5 * RATE)
    soundfile.write(tmp_path / "a.ogg", noise, RATE)
    os.truncate(tmp_path / "a.ogg", (tmp_path / "a.ogg").stat().st_size - 2000)
    with pytest.raises(
        UserError, match=r"a\.ogg: ends at [234]\.\d\d s, before the page that ends every OGG file"
    ):
        read_audio(tmp_path / "a.ogg", RATE)


def test_an_ogg_with_something_after_its_end_is_whole(tmp_path):
    (tmp_path / "a.ogg").write_bytes(CODED["ogg"] + bytes(1000))
    assert len(read_audio(tmp_path / "a.ogg", RATE)) == RATE


@pytest.mark.parametrize(("level", "warns"), [(0.99, False), (1.5, True), (30, True)])
def test_a_recording_of_which_much_is_clipped_is_said(tmp_path, level, warns):
    samples = np.clip(tone(RATE, level=level), -1, 1)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read_audio(tmp_path / "a.wav", RATE)
    share = np.mean(np.abs(samples) >= 0.999)
    said = f"{tmp_path / 'a.wav'}: {share:.1%} of its samples are clipped; record it lower"
    assert [str(w.message) for w in warned] == [said] * warns


def wav_header(rate, channels, data_bytes):
    riff = struct.pack("<4sI4s", b"RIFF", min(data_bytes + 36, 2**32 - 1), b"WAVE")
    per_second = rate * channels * 2 % 2**32
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, per_second, channels * 2, 16)
    return riff + form + struct.pack("<4sI", b"data", data_bytes)


def sparse(path, rate, channels, data_bytes):
    """Write a WAV of silence that takes no room on the disk."""
    path.write_bytes(wav_header(rate, channels, data_bytes))
    os.truncate(path, 44 + data_bytes)


def test_the_length_of_a_word_is_looked_at_before_it_is_read(tmp_path):
    sparse(tmp_path / "a.wav", 48000, 1, 2**32 - 2**20)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"a\.wav: is 44728\.\d+ s long; a recording of a word takes"):
        read_recording(tmp_path / "a.wav", RATE)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_hours_are_read_and_said_and_days_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kws.recordings.audio.TELL_GB", 0.01)
    sparse(tmp_path / "a.wav", RATE, 1, 2 * RATE * 120)
    with pytest.warns(UserWarning, match=r"a\.wav: is 0\.0 h long; reading it takes 0\.0 GB"):
        assert len(read_audio(tmp_path / "a.wav", RATE)) == RATE * 120
    sparse(tmp_path / "b.wav", 8000, 1, 2 * 8000 * 86401)
    with pytest.raises(UserError, match=r"b\.wav: is 86401\.00 s long; cut it into files of a day at most"):
        read_audio(tmp_path / "b.wav", RATE)


@pytest.mark.parametrize("rate", [1, 1999, 768001, 2**31 - 1])
def test_rates_that_cannot_be_are_refused(tmp_path, rate):
    (tmp_path / "a.wav").write_bytes(wav_header(rate, 1, 2000) + bytes(2000))
    with pytest.raises(UserError, match=r"a\.wav: claims a rate of \d+ Hz, expected 2000 to 768000"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize(
    ("total", "says"),
    [
        (2**36 - 1, "is 4294967.30 s long"),
        (3600 * RATE, "cannot be read after|promises"),
        (2 * RATE, "cannot be read after|promises"),
        (0, "does not say how long it is"),
    ],
)
def test_a_flac_that_claims_another_length_is_refused(tmp_path, total, says):
    data = bytearray(CODED["flac"])
    data[21] = data[21] & 0xF0 | total >> 32
    data[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(UserError, match=says):
        read_audio(tmp_path / "a.flac", RATE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    name=st.sampled_from(list(FUZZED)),
    spoilt=st.lists(
        st.tuples(st.integers(0, 200) | st.integers(0, 40_000), st.binary(max_size=9)), max_size=4
    ),
    kept=st.floats(0, 1) | st.just(1.0),
    suffix=st.sampled_from([".wav", ".ogg", ".m4a", ".raw"]),
)
def test_no_bytes_in_a_recording_are_more_than_one_line(tmp_path, name, spoilt, kept, suffix):
    data = bytearray(FUZZED[name])
    for at, content in spoilt:
        data[at : at + len(content)] = content
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data[: round(kept * len(data))])
    with warnings.catch_warnings(action="ignore"):
        try:
            audio = read_recording(path, RATE)
            assert 0.19 * RATE < len(audio) <= 10.01 * RATE
            assert np.isfinite(audio).all()
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    content=st.binary(max_size=300),
    magic=st.sampled_from([b"", b"RIFF", b"RIFX", b"fLaC", b"OggS", b"FORM", b"caff", b".snd"]),
)
def test_bytes_that_are_no_recording_are_one_line(tmp_path, content, magic):
    path = tmp_path / "a.wav"
    path.write_bytes(magic + content)
    with pytest.raises(UserError) as caught:
        read_recording(path, RATE)
    assert "\n" not in str(caught.value)


def test_folders_that_lead_into_each_other_are_read_once_and_said(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/word.wav").touch()
    (tmp_path / "a/b/back").symlink_to(tmp_path / "a")
    (tmp_path / "a/again").symlink_to("b")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/there").symlink_to("../a")
    (tmp_path / "a/b/further").symlink_to("../../other")
    with pytest.warns(UserWarning, match="is the same folder as") as warned:
        files = audio_files(tmp_path / "a")
    assert files == [tmp_path / "a/again/word.wav"]
    assert len(warned) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_is_no_file_is_refused_before_anything_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(UserError, match=r"a\.wav: is a broken link, a pipe or a device; remove it"):
        audio_files(tmp_path)
    (tmp_path / "a.wav").unlink()
    for target in ("nowhere", "a.wav"):
        (tmp_path / "a.wav").symlink_to(target)
        with pytest.raises(UserError, match=r"a\.wav: is a broken link"):
            audio_files(tmp_path)
        (tmp_path / "a.wav").unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are bytes")
@pytest.mark.parametrize("name", [b"se\xf1al.wav", b"a\nb.wav", b"\x1b[31m.wav"])
def test_names_that_no_manifest_can_hold_are_refused(tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb") as file:  # noqa: PTH123 - names of bytes
        file.write(CODED["wav"])
    with pytest.raises(UserError, match=r"holds '.*', a name that cannot be printed; rename it") as caught:
        audio_files(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(read_audio(next(tmp_path.iterdir()), RATE)) == RATE, "what is named is read"


def test_names_in_any_script_and_with_any_space_are_fine(tmp_path):
    for name in ("señal.wav", "sen\u0303al.wav", "音.wav", "Recording at 3.15\u202fPM.wav"):
        (tmp_path / name).touch()
    assert len(audio_files(tmp_path)) == 4


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is hidden from root")
def test_a_folder_that_may_not_be_listed_is_no_empty_one(tmp_path):
    (tmp_path / "voice").mkdir(mode=0)
    with pytest.raises(PermissionError):
        audio_files(tmp_path, optional=True)


def test_part_of_a_file_is_read_from_where_it_is_asked_for(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(RATE, 3), RATE)
    whole = read_audio(tmp_path / "a.flac", RATE)
    with open_sound(tmp_path / "a.flac") as file:
        for start, stop in pairwise((0, 100, 40_000, 48_000)):
            assert np.array_equal(
                read_frames(file, tmp_path / "a.flac", start, stop - start), whole[start:stop]
            )
        assert len(read_frames(file, tmp_path / "a.flac", 10**6, 5)) == 0


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_sound_is_written_as_libsndfile_writes_it(tmp_path, suffix):
    write_sound(tmp_path / f"a.{suffix}", tone(RATE), RATE)
    soundfile.write(tmp_path / f"b.{suffix}", tone(RATE), RATE, subtype="PCM_16")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_second_stream_in_an_ogg_file_is_told(tmp_path, word):
    """libsndfile reads the first one only."""
    one = tmp_path / "one.ogg"
    soundfile.write(one, word, RATE)
    (tmp_path / "two.ogg").write_bytes(one.read_bytes() * 2)
    assert len(read_audio(one, RATE)) == len(word)
    with pytest.raises(UserError, match=r"two\.ogg: ends at 0\.\d+ s, where a second stream begins"):
        read_audio(tmp_path / "two.ogg", RATE)
