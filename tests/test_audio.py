"""Recordings are read whatever they are, or refused in one line that names the file."""

import numpy as np
import pytest
import soundfile

from conftest import RATE, real
from kws.audio import audio_files, drop_copies, read_audio, read_recording, to_float, to_int16
from kws.errors import UserError


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


def test_channels_are_averaged(tmp_path):
    left, right = tone(RATE, level=0.4), tone(RATE, level=0.2)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), RATE)
    assert np.allclose(read_audio(tmp_path / "stereo.wav", RATE), (left + right) / 2, atol=1e-4)


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


def test_a_folder_is_listed_in_order_without_hidden_files(tmp_path):
    for name in ("b.wav", "a.FLAC", "sub/c.ogg", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in audio_files(tmp_path)] == ["a.FLAC", "b.wav", "c.ogg"]


def test_folders_that_are_links_are_listed_too(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    soundfile.write(tmp_path / "elsewhere/word.wav", tone(RATE), RATE)
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices/anna").symlink_to(tmp_path / "elsewhere")
    assert audio_files(tmp_path / "voices") == [tmp_path / "voices/anna/word.wav"]


def test_folders_that_hold_no_audio_or_something_else_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        audio_files(tmp_path / "absent")
    with pytest.raises(UserError, match="holds no audio"):
        audio_files(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"notes\.txt: not a WAV, FLAC or OGG file"):
        audio_files(tmp_path)


def test_copies_are_found_whatever_their_level(tmp_path, word):
    recordings = {
        tmp_path / "a.wav": word,
        tmp_path / "b.wav": word * 0.3,
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
