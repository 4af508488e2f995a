"""What phones and browsers record is read as it was said: from its beginning to its end, or not at all."""

import sys
import warnings

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import RATE, SEEDS
from handsets import KINDS, record
from kws.common.errors import UserError
from kws.recordings import phones
from kws.recordings.audio import read_audio, read_recording
from kws.recordings.soundfiles import open_sound
from kws.runtime.source import read_blocks

RATES = {"3gp": 8000, "amr": 8000, "aac.3gp": 16000, "webm": 48000, "live.webm": 48000}
"""Of what takes others than 44.1 kHz."""
NO_START = {"fragments.mp4": 0.024, "aac": 0.024, "amr": 0.006, "3gp": 0.003}
"""Seconds that are too many at the beginning where a file does not say what its encoder put there."""


@pytest.fixture(scope="module")
def said():
    """REPETIR at 16 kHz, with half a second of next to nothing around it."""
    word, rate = soundfile.read(SEEDS / "REPETIR/000_repetir.wav", dtype="float32")
    assert rate == RATE
    return np.pad(word, RATE // 2)


@pytest.fixture(scope="module")
def recorded(said):
    def make(kind):
        rate = RATES.get(kind, 44100)
        return record(kind, soxr.resample(said, RATE, rate), rate)

    return {kind: make(kind) for kind in KINDS}


def lag(audio, said):
    """Return by how many samples one comes after the other."""
    n = 1 << 17
    spectrum = np.fft.rfft(np.abs(audio), n) * np.conj(np.fft.rfft(np.abs(said), n))
    at = int(np.argmax(np.fft.irfft(spectrum)))
    return at if at < n // 2 else at - n


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_is_what_was_said(tmp_path, said, recorded, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(recorded[kind])
    audio = read_recording(path, RATE)
    late = NO_START.get(kind, 0)
    assert abs(lag(audio, said)) <= late * RATE + 1
    assert 0 <= len(audio) - len(said) <= (0 if kind not in NO_START else 0.05 * RATE)
    shift = lag(audio, said)
    heard, expected = audio[max(0, shift) :], said[max(0, -shift) :]
    n = min(len(heard), len(expected))
    if "amr" not in kind and kind != "3gp":  # made for ears, not for the same samples
        assert np.corrcoef(heard[:n], expected[:n])[0, 1] > 0.97
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(np.sqrt(np.mean(said**2)), rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_says_nothing(tmp_path, recorded, kind):
    audios = []
    for suffix in ("wav", "raw", "m4a", "txt"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(recorded[kind])
        audios.append(read_audio(path, RATE))
        assert np.array_equal(np.concatenate(list(read_blocks(path, RATE, 0.3))), audios[-1])
    assert all(np.array_equal(audio, audios[0]) for audio in audios)


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_off_is_refused(tmp_path, recorded, kind, kept):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(recorded[kind][: int(kept * len(recorded[kind]))])
    with pytest.raises(UserError, match=rf"a\.{kind}: .*(copy|export) it again") as caught:
        read_audio(path, RATE)
    assert "\n" not in str(caught.value)


def test_an_mp3_without_a_length_is_read_to_its_end(tmp_path, said, recorded):
    """Of one whose bit rate varies libsndfile reads what the first frame lets expect."""
    varying = tmp_path / "varying.mp3"
    audio = np.concatenate([np.zeros(RATE, np.float32), said, said])
    with soundfile.SoundFile(varying, "w", RATE, 1, format="MP3", bitrate_mode="VARIABLE") as file:
        file.write(audio)
    content = varying.read_bytes()
    first = content.index(content[:2], 4)
    assert b"Xing" in content[:first] and b"Xing" not in content[first:]
    varying.write_bytes(content[first:])
    assert len(audio) <= len(read_audio(varying, RATE)) < len(audio) + 3000
    varying.write_bytes(content)
    assert len(read_audio(varying, RATE)) == len(audio)


def test_a_tag_before_the_sound_is_passed_over(tmp_path, recorded):
    tag = b"ID3\4\0\0" + bytes([0, 0, 2, 16]) + bytes(2 * 128 + 16)
    for kind in ("mp3", "aac"):
        (tmp_path / kind).write_bytes(recorded[kind])
        (tmp_path / f"tagged.{kind}").write_bytes(tag + recorded[kind])
        assert np.array_equal(
            read_audio(tmp_path / f"tagged.{kind}", RATE), read_audio(tmp_path / kind, RATE)
        )


def test_a_tag_before_what_is_none_of_its_kind(tmp_path, said):
    """libsndfile reads the first, and would say something of the second by itself."""
    tag = b"ID3\4\0\0" + bytes([0, 0, 0, 5]) + bytes(5)
    soundfile.write(tmp_path / "a.flac", said, RATE)
    (tmp_path / "a.flac").write_bytes(tag + (tmp_path / "a.flac").read_bytes())
    assert np.allclose(read_audio(tmp_path / "a.flac", RATE), said, atol=1e-4)
    (tmp_path / "a.mp3").write_bytes(tag + bytes(500))
    with pytest.raises(UserError, match=r"a\.mp3: cannot be read as audio|holds no sound"):
        read_audio(tmp_path / "a.mp3", RATE)


def test_channels_and_levels_are_those_of_the_recording(tmp_path, said):
    stereo = np.stack([said, 0 * said], axis=1)
    for kind in ("m4a", "alac.m4a", "mp3", "webm"):
        path = tmp_path / f"a.{kind}"
        path.write_bytes(
            record(
                kind, stereo if kind != "webm" else soxr.resample(stereo, RATE, 48000), RATES.get(kind, RATE)
            )
        )
        with open_sound(path) as file:
            assert (file.channels, file.samplerate) == (2, RATES.get(kind, RATE))
        assert np.corrcoef(read_audio(path, RATE)[: len(said)], said)[0, 1] > 0.95


def test_a_long_one_is_refused_by_its_header_or_soon_after_it_is_too_long(tmp_path, monkeypatch):
    decoded = []
    samples = phones._samples
    monkeypatch.setattr(phones, "_samples", lambda *a: decoded.append(a) or samples(*a))
    silence = np.zeros(60 * 8000, np.float32)
    for kind, blocks in (("3gp", 0), ("amr", 501)):
        path = tmp_path / f"a.{kind}"
        path.write_bytes(record(kind, silence, 8000))
        with pytest.raises(UserError, match=rf"a\.{kind}: is \d\d\.\d\d s long; a recording of a word takes"):
            read_recording(path, RATE)
        assert len(decoded) == blocks
        assert len(read_audio(path, RATE)) == pytest.approx(60 * RATE, abs=400)
        decoded.clear()


def test_long_ones_wait_on_the_disk(tmp_path, recorded, monkeypatch):
    (tmp_path / "a.m4a").write_bytes(recorded["m4a"])
    whole = read_audio(tmp_path / "a.m4a", RATE)
    monkeypatch.setattr("kws.recordings.soundfiles.IN_MEMORY", 1000)
    assert np.array_equal(read_audio(tmp_path / "a.m4a", RATE), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_without_pyav_it_is_said_what_to_do(tmp_path, recorded, kind, monkeypatch):
    """As on a board."""
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(recorded[kind])
    with pytest.raises(
        UserError, match=r": is .*, which PyAV reads; `pip install av`, or convert it to WAV$"
    ):
        read_audio(path, RATE)
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    assert len(read_audio(tmp_path / "a.wav", RATE)) == RATE


def test_a_video_without_sound_is_told(tmp_path):
    av = pytest.importorskip("av")
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match=r"a\.mp4: holds no sound"):
        read_audio(tmp_path / "a.mp4", RATE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(
    kind=st.sampled_from(list(KINDS)),
    spoilt=st.lists(
        st.tuples(st.integers(0, 200) | st.integers(0, 30_000), st.binary(max_size=9)), max_size=4
    ),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_no_bytes_in_a_recording_are_more_than_one_line(tmp_path, recorded, capfd, kind, spoilt, kept):
    data = bytearray(recorded[kind])
    for at, content in spoilt:
        at %= len(data)
        data[at : at + len(content)] = content
    path = tmp_path / "a.m4a"
    path.write_bytes(data[: round(kept * len(data))])
    with warnings.catch_warnings(action="ignore"):
        try:
            audio = read_recording(path, RATE)
            assert 0.19 * RATE < len(audio) <= 10.1 * RATE
            assert np.isfinite(audio).all()
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            assert str(error).isprintable()
    assert capfd.readouterr() == ("", "")


HEADS = (
    b"\0\0\0\x20ftypM4A \0\0\0\0",
    b"\0\0\0\x18ftyp3gp4\0\0\0\0",
    b"\x1a\x45\xdf\xa3",
    b"#!AMR\n",
    b"#!AMR-WB\n",
    b"\xff\xf1",
    b"\xff\xfb\x90\x64",
    b"ID3\4\0\0\0\0\0\0",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(content=st.binary(max_size=400), head=st.sampled_from(HEADS))
def test_bytes_that_are_no_recording_are_one_line(tmp_path, capfd, content, head):
    path = tmp_path / "a.wav"
    path.write_bytes(head + content)
    with warnings.catch_warnings(action="ignore"):
        try:
            assert np.isfinite(read_audio(path, RATE)).all()
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            assert str(error).isprintable()
    assert capfd.readouterr() == ("", "")
