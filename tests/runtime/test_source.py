"""Files, pipes and what plays them in real time: blocks of what `read_audio` reads at once."""

import io

import numpy as np
import pytest
import soundfile

from conftest import RATE
from kws.common.errors import UserError
from kws.recordings.audio import read_audio
from kws.runtime.source import in_real_time, pcm_blocks, read_blocks


@pytest.fixture
def audio():
    return 0.1 * np.random.default_rng(0).standard_normal((3 * RATE, 2)).astype(np.float32)


def read(path, block_s=0.25):
    return np.concatenate(list(read_blocks(path, RATE, block_s)))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_blocks_are_what_reading_the_whole_gives(tmp_path, audio, suffix, rate):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, audio, rate)
    expected = read_audio(path, RATE)
    for block_s in (0.1, 10):
        assert np.array_equal(read(path, block_s), expected)


def test_a_file_is_read_a_block_at_a_time(tmp_path, audio):
    soundfile.write(tmp_path / "a.wav", audio, RATE)
    assert {len(block) for block in read_blocks(tmp_path / "a.wav", RATE, 0.1)} == {1600}


@pytest.mark.parametrize(
    ("suffix", "message"), [("wav", "ends at 1.5"), ("flac", "cannot be read after"), ("ogg", "ends at 1.")]
)
def test_a_truncated_file_is_read_as_far_as_it_goes_and_said(tmp_path, audio, suffix, message):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, audio, RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    blocks = []
    with pytest.raises(UserError, match=message):
        blocks.extend(read_blocks(path, RATE, 0.1))
    assert 1 < sum(map(len, blocks)) / RATE < 1.6


def test_a_wav_that_was_streamed_has_no_length_to_keep_to(tmp_path, audio):
    """Programs that write to a pipe cannot go back to the header."""
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="PCM_16")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(data)
    assert len(read(tmp_path / "a.wav")) == 3 * RATE


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_an_error_that_says_where(tmp_path, audio, value):
    audio[2 * RATE + 100, 1] = value
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"a\.wav: holds NaN or infinite samples after 2\.0 s"):
        read(tmp_path / "a.wav", 0.5)


def test_files_without_audio_are_errors(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    (tmp_path / "text.wav").write_text("hello")
    for name, message in (
        ("empty.wav", "is empty"),
        ("text.wav", "cannot be read as audio"),
        ("none.wav", "no such file"),
    ):
        with pytest.raises(UserError, match=message):
            read(tmp_path / name)


def test_raw_samples_are_16_bit_mono():
    pcm = np.arange(-2000, 2000, dtype="<i2")
    blocks = list(pcm_blocks(io.BytesIO(pcm.tobytes() + b"\x01"), RATE, 0.1))
    assert [len(block) for block in blocks] == [1600, 1600, 800]
    assert np.array_equal(np.concatenate(blocks) * 32768, pcm)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_real_time_neither_runs_ahead_nor_drifts():
    clock, slept = Clock(), []

    def sleep(seconds):
        slept.append(round(seconds, 6))
        clock.now += seconds

    blocks = iter([np.zeros(1600, np.float32)] * 4)
    for _ in in_real_time(blocks, RATE, clock, sleep):
        clock.now += 0.03 if len(slept) < 3 else 0.25  # what hearing a block takes
    assert slept == [0.1, 0.07, 0.07, 0.0]


def test_a_channel_that_is_asked_for_is_taken_whatever_it_holds(tmp_path):
    """Else the one that speaks would be."""
    speech = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    quiet = speech / 100
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([speech, quiet], axis=1), RATE, subtype="FLOAT")
    assert np.array_equal(np.concatenate(list(read_blocks(path, RATE, 0.1, 2))), quiet)
    assert np.array_equal(np.concatenate(list(read_blocks(path, RATE, 0.1, 1))), speech)
    with pytest.raises(UserError, match=r"--channel 3: .*stereo\.wav has 2, counted from 1"):
        list(read_blocks(path, RATE, 0.1, 3))
