"""A recording is ok, doubtful or unusable, and the reason is said in words that help."""

import numpy as np
import pytest
import soundfile
import soxr

from conftest import RATE
from kws.recordings.verdict import Verdict, describe, judge, measure


def scene(word, peak=0.3, noise=1e-3, seconds=3.0, at=1.2):
    """A word in faint noise, as a phone records it."""
    audio = noise * np.random.default_rng(0).standard_normal(round(seconds * RATE), np.float32)
    start = round(at * RATE)
    audio[start : start + len(word)] += peak * word / np.abs(word).max()
    return audio


def judged(tmp_path, audio, rate=RATE, **form) -> Verdict:
    soundfile.write(tmp_path / "a.wav", audio, rate, **form)
    return judge(tmp_path / "a.wav", RATE, 1.0)


def test_a_clear_recording_is_ok_and_its_word_is_known(tmp_path, word):
    stereo = np.repeat(soxr.resample(scene(word), RATE, 48000)[:, None], 2, axis=1)
    found = judged(tmp_path, stereo, 48000)
    assert (found.state, found.reasons, found.problem) == ("ok", (), None)
    assert (found.rate, found.channels, found.seconds) == (48000, 2, pytest.approx(3))
    assert found.peak == pytest.approx(0.3, rel=0.05)
    assert found.snr_db > 20
    (take,) = found.words
    assert take.start / RATE == pytest.approx(1.2, abs=0.1)
    assert take.stop / RATE == pytest.approx(1.2 + len(word) / RATE, abs=0.15)
    assert len(found.audio) == pytest.approx(3 * RATE, abs=2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"peak": 0.007, "noise": 2e-5}, "its peak is -43 dBFS; come nearer"),
        ({"peak": 8}, "of its samples are clipped"),
        ({"peak": 0.3, "noise": 0.03}, "dB below the word"),
    ],
    ids=["quiet", "clipped", "noisy"],
)
def test_what_is_doubtful_says_why_and_what_to_do(tmp_path, word, change, says):
    found = judged(tmp_path, np.clip(scene(word, **change), -1, 1))
    assert found.state == "doubtful"
    assert found.words
    assert any(says in reason for reason in found.reasons), found.reasons
    assert not any("a.wav" in reason for reason in found.reasons), "the file is named once, before them"
    assert len(found.reasons) == len(set(found.reasons))


def test_noise_that_hides_the_word_is_named_as_the_cause(tmp_path, word):
    found = judged(tmp_path, scene(word, noise=0.1))
    assert (found.state, found.words) == ("unusable", ())
    assert "dB below the loudest sound" in found.reasons[0]


def test_clipping_is_seen_in_the_file_and_not_only_after_resampling(tmp_path, word):
    loud = np.clip(soxr.resample(scene(word, 8), RATE, 44100), -1, 1)
    assert judged(tmp_path, loud, 44100).clipped == pytest.approx(np.mean(np.abs(loud) >= 0.999), rel=0.01)


def test_what_reading_warns_of_is_a_doubt_and_no_warning(tmp_path, word):
    found = judged(tmp_path, scene(word, 1.5), subtype="FLOAT")
    assert found.state == "doubtful"
    assert "its samples reach 1.5" in found.reasons[0]


def test_a_word_longer_than_a_clip_is_unusable(tmp_path, word):
    found = judged(tmp_path, scene(np.concatenate([word, word]), seconds=4))
    assert (found.state, found.words) == ("unusable", ())
    assert found.problem.startswith(f"{tmp_path / 'a.wav'}: its word at 1.2 s takes 1.")
    assert "longer than a clip of 1.0 s" in found.reasons[0]


def test_what_cannot_be_read_is_unusable_and_names_the_file_once(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    found = judge(tmp_path / "a.wav", RATE, 1.0)
    assert (found.state, found.finding, found.audio) == ("unusable", None, None)
    assert found.problem.startswith(f"{tmp_path / 'a.wav'}: cannot be read as audio")
    assert found.reasons[0].startswith("cannot be read as audio")


def test_samples_that_are_no_file_yet_are_judged_alike(tmp_path, word):
    audio = np.round(scene(word) * 32767).astype(np.int16)
    in_file = judged(tmp_path, audio)
    heard = (audio / np.float32(32768)).astype(np.float32)
    assert describe(in_file.path, heard, RATE, 1.0, 3.0, RATE, 1) == in_file


def test_background_needs_no_word_and_may_be_quiet_but_not_silent(tmp_path, fan):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.003 * fan, RATE)
    assert (measure(path).state, measure(path).seconds) == ("ok", 30)
    soundfile.write(path, np.zeros(RATE), RATE)
    assert measure(path).problem == f"{path}: is silent; check the microphone and record it again"
    soundfile.write(path, np.clip(50 * fan, -1, 1), RATE)
    assert "clipped" in measure(path).reasons[0]
