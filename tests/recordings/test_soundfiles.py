"""Sound files are read by what they hold: not by their names, nor by all that their headers claim."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE
from kws.common.errors import UserError
from kws.recordings.audio import read_audio
from kws.recordings.soundfiles import LOST_DB, open_sound, read_frames
from kws.runtime.source import read_blocks

FORMATS = {
    "WAV": ("PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "GSM610"),
    "WAVEX": ("PCM_16", "DOUBLE"),
    "RF64": ("PCM_16",),
    "W64": ("PCM_16",),
    "AIFF": ("PCM_16", "FLOAT"),
    "AU": ("PCM_16",),
    "CAF": ("PCM_16", "ALAC_16"),
    "SVX": ("PCM_16",),
    "FLAC": ("PCM_16",),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
    "NIST": ("PCM_16",),
}
CASES = [(form, subtype) for form, subtypes in FORMATS.items() for subtype in subtypes]
OF_NO_LENGTH = "NIST", "MP3"
"""What tells no length, or not to libsndfile; see test_phones.py for the second."""


def coded(form, subtype, samples, rate=RATE):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(("form", "subtype"), CASES)
@pytest.mark.parametrize("suffix", ["wav", "mp3", "raw", "vox", "txt"])
def test_formats_are_known_by_content_and_not_by_suffix(tmp_path, word, form, subtype, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(coded(form, subtype, word))
    audio = read_audio(path, RATE)
    assert 0 <= len(audio) - len(word) < 400  # ADPCM and GSM fill a block
    assert np.corrcoef(audio[: len(word)], word)[0, 1] > 0.9


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("form", "subtype"), [case for case in CASES if case[0] not in OF_NO_LENGTH])
def test_what_is_cut_off_is_refused_in_every_format(tmp_path, word, form, subtype, kept):
    content, path = coded(form, subtype, word), tmp_path / "a.wav"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"a\.wav: .*(copy|again)") as caught:
        read_audio(path, RATE)
    assert "\n" not in str(caught.value)


def header_of(content, riff, data):
    """Return a WAV with other lengths in its header."""
    at = content.index(b"data") + 4
    whole = bytearray(content)
    whole[4:8], whole[at : at + 4] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    return bytes(whole)


@pytest.mark.parametrize("riff", [0, 8, 36, 2**32 - 1])
@pytest.mark.parametrize("data", [0, 2**32 - 1, 0x7FFFF000])
def test_a_wav_that_nobody_closed_is_read(tmp_path, word, riff, data):
    """Of a length of 0 libsndfile reads nothing."""
    path = tmp_path / "a.wav"
    content = header_of(coded("WAV", "PCM_16", word), riff, data)
    path.write_bytes(content)
    audio = read_audio(path, RATE)
    assert np.allclose(audio, word, atol=1e-4) and len(audio) == len(word)
    assert path.read_bytes() == content, "the file stays as it is"


def halved(content, form):
    """Return a WAV or FLAC whose header counts half of its samples."""
    whole = bytearray(content)
    if form == "FLAC":
        at = content.index(b"fLaC") + 18  # STREAMINFO: 36 bits of samples, behind the rate and the channels
        fields = int.from_bytes(whole[at : at + 8], "big")
        n = fields & (2**36 - 1)
        whole[at : at + 8] = (fields - n + n // 2).to_bytes(8, "big")
    else:
        at = content.index(b"data") + 4
        whole[at : at + 4] = (int.from_bytes(whole[at : at + 4], "little") // 4 * 2).to_bytes(4, "little")
    return bytes(whole)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "FLAC"])
def test_a_header_that_hides_a_part_of_the_sound_is_refused(tmp_path, word, form):
    path = tmp_path / "a.wav"
    path.write_bytes(halved(coded(form, "PCM_16", word), form))
    seconds = rf"{len(word) // 2 / RATE:.2f} s"
    with pytest.raises(
        UserError, match=rf"a\.wav: goes on after the {seconds} that its header promises; copy"
    ):
        read_audio(path, RATE)


@pytest.mark.parametrize("behind", [bytes(4000), b"TAG" + bytes(61), b"LIST\4\0\0\0INFO"])
def test_tags_and_padding_behind_the_samples_are_none(tmp_path, word, behind):
    path = tmp_path / "a.wav"
    path.write_bytes(coded("WAV", "PCM_16", word) + behind)
    assert len(read_audio(path, RATE)) == len(word)


@pytest.mark.parametrize("behind", [b"", b"LIST\4\0\0\0INFO", b"id3 \6\0\0\0abcdefLIST\4\0\0\0INFO"])
def test_an_empty_wav_is_empty_whatever_else_it_tells(tmp_path, behind):
    path = tmp_path / "a.wav"
    path.write_bytes(coded("WAV", "PCM_16", np.zeros(0)) + behind)
    with pytest.raises(UserError, match=r"a\.wav: is empty; record it again"):
        read_audio(path, RATE)


@pytest.mark.parametrize(
    ("gain", "outcome"),
    [
        (1.0, None),
        (1.5, 1.5),
        (15.0, 15.0),
        (2.0**15, 2.0**15),
        (0.1 * 2**15, 2.0**15),
        (2.0**23, 2.0**23),
        (2.0**31, 2.0**31),
    ],
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_on_another_scale_are_brought_to_that_of_all_and_said(tmp_path, word, gain, outcome, subtype):
    path, peak = tmp_path / "a.wav", np.abs(word).max()
    loud = word / peak
    soundfile.write(path, loud.astype(np.float64) * gain, RATE, subtype=subtype)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        audio = read_audio(path, RATE)
        blocks = np.concatenate(list(read_blocks(path, RATE, 0.1)))
    assert np.allclose(audio, loud * (gain / (outcome or 1)), atol=1e-6)
    assert np.array_equal(audio, blocks)
    said = f"{path}: its samples reach {gain:.4g}, expected -1..1; divided by {outcome or 0:.4g}; "
    assert all(str(w.message).startswith(said) for w in warned)
    assert len(warned) == (0 if outcome is None else 2)


def test_floats_on_no_scale_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(RATE, 1e30), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"a\.wav: its samples reach 1e\+30, expected -1\.\.1; export it as"):
        read_audio(tmp_path / "a.wav", RATE)


def noise(n, level=1e-3, seed=0):
    return level * np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def beside(word, **channels):
    """Return channels of noise, of which some say the word, at a gain."""
    said = {int(name[1:]): gain for name, gain in channels.items()}
    n = max(2, *(index + 1 for index in said))
    return np.stack([said.get(i, 0) * word + noise(len(word), seed=i) for i in range(n)], axis=1)


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
@pytest.mark.parametrize(
    ("channels", "taken"),
    [
        ({"c0": 1, "c1": 1}, None),
        ({"c0": 1, "c1": 0.6}, None),
        ({"c0": 1, "c1": -1}, 0),
        ({"c0": 0.8, "c1": -1}, 1),
        ({"c0": 0, "c1": 1}, 1),
        ({"c3": 1, "c5": 0}, 3),
        ({"c0": 0.1, "c4": 1, "c5": 0.1}, 4),
    ],
)
def test_the_channel_that_speaks_is_taken_where_the_average_would_lose_it(
    tmp_path, word, form, channels, taken
):
    path, samples = tmp_path / "a.wav", beside(word, **channels)
    path.write_bytes(coded(form, "PCM_16", samples))
    exact = soundfile.read(path, dtype="float32")[0]
    expected = exact.mean(axis=1, dtype=np.float32) if taken is None else exact[:, taken]
    assert np.array_equal(read_audio(path, RATE), expected)
    for block_s in (0.02, 0.3, 10):
        assert np.array_equal(np.concatenate(list(read_blocks(path, RATE, block_s))), expected)
    with open_sound(path) as file:
        assert np.array_equal(read_frames(file, path, 0, len(word)), expected)


def test_loud_channels_that_do_not_speak_are_not_taken(tmp_path, word):
    """A dead input with an offset, and one that hums."""
    n = len(word)
    hum = (0.3 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE)).astype(np.float32)
    rest = [noise(n, seed=i) for i in range(3)]
    samples = np.stack([0.9 + noise(n), hum, *rest, 0.2 * word], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "a.wav", RATE), samples[:, 5])


def test_two_microphones_of_which_each_has_its_own_noise_are_averaged(tmp_path):
    samples = np.stack([noise(5 * RATE, 0.1, seed) for seed in (1, 2)], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert LOST_DB > 3
    assert np.array_equal(read_audio(tmp_path / "a.wav", RATE), samples.mean(axis=1, dtype=np.float32))


def test_one_channel_is_taken_from_the_beginning_to_the_end(tmp_path, word, monkeypatch):
    """It is chosen by what is read ahead, and what follows is of the same."""
    monkeypatch.setattr("kws.recordings.soundfiles.AHEAD", 2 * RATE)
    silent = np.zeros(RATE, np.float32)
    left, right = np.concatenate([word, silent, word]), np.concatenate([silent, silent, word])
    n = min(len(left), len(right))
    samples = np.stack([left[:n], right[:n]], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    for block_s in (0.1, 0.7, 60):
        assert np.array_equal(
            np.concatenate(list(read_blocks(tmp_path / "a.wav", RATE, block_s))), samples[:, 0]
        )


def test_all_that_can_be_read_of_a_broken_file_of_channels_is(tmp_path, word):
    samples = beside(word, c0=1, c1=-1)
    samples[RATE // 2, 0] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    blocks = []
    with pytest.raises(UserError, match="NaN or infinite samples after"):
        blocks.extend(read_blocks(tmp_path / "a.wav", RATE, 0.1))
    assert np.array_equal(np.concatenate(blocks), samples[: RATE // 2, 0])


OPEN = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN.is_dir(), reason="needs /proc")
def test_no_file_stays_open(tmp_path, word):
    before = len(list(OPEN.iterdir()))
    for name, content in (("a.wav", coded("WAV", "PCM_16", word)), ("b.mp3", coded("MP3", None, word))):
        (tmp_path / name).write_bytes(content)
        read_audio(tmp_path / name, RATE)
        (tmp_path / name).write_bytes(content[:300])
        with pytest.raises(UserError):
            read_audio(tmp_path / name, RATE)
    assert len(list(OPEN.iterdir())) == before
