"""Windows of a stream have the features that the same second has as a clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import RATE, changed
from kws.features.logmel import features
from kws.features.streaming import FeatureStream

HOP = RATE // 10


@pytest.fixture(scope="module")
def audio(word, fan):
    """Speech, a fan, faint hiss, and offsets that jump: 5 s."""
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(5 * RATE, dtype=np.float32)
    hiss[: len(word)] += word
    hiss[RATE : RATE + len(fan[:RATE])] += 0.3 * fan[:RATE]
    hiss[3 * RATE : 3 * RATE + len(word)] += 0.05 * word
    hiss[2 * RATE : 4 * RATE] += 0.01
    return hiss


def clips(audio, front_end, hop):
    starts = range(0, len(audio) - front_end.clip_samples + 1, hop)
    return np.stack([features(audio[s : s + front_end.clip_samples], front_end) for s in starts])[:, None]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"norm": "mean"},
        {"norm": "none"},
        {"preemphasis": 0.0},
        {"preemphasis": 1.0},
        {"n_mels": 40, "clip_s": 1.5},
    ],
)
def test_a_stream_of_windows_equals_the_clips(audio, front_end, values):
    front_end = changed(front_end, **values)
    found = FeatureStream(front_end, 100).push(audio)
    expected = clips(audio, front_end, HOP)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4


@pytest.fixture(scope="module")
def whole(audio, front_end):
    return FeatureStream(front_end, 100).push(audio)


@given(st.lists(st.integers(0, 40_000), max_size=12))
def test_any_chunking_gives_the_same_bytes(audio, front_end, whole, sizes):
    stream, parts = FeatureStream(front_end, 100), np.split(audio, np.cumsum(sizes))
    assert np.concatenate([stream.push(part) for part in parts]).tobytes() == whole.tobytes()


def test_hops_may_be_as_long_as_a_clip_and_longer(audio, front_end):
    for hop_ms in (1000, 1500):
        found = FeatureStream(front_end, hop_ms).push(audio)
        assert np.abs(found - clips(audio, front_end, hop_ms * RATE // 1000)).max() <= 1e-4
        stream, parts = FeatureStream(front_end, hop_ms), np.split(audio, range(HOP, len(audio), HOP))
        assert np.concatenate([stream.push(part) for part in parts]).tobytes() == found.tobytes()


def test_less_than_a_window_gives_none(front_end):
    assert FeatureStream(front_end, 100).push(np.zeros(RATE - 1, np.float32)).shape == (0, 1, 98, 64)


def test_hops_are_whole_frames(front_end):
    with pytest.raises(ValueError, match="hop_ms is 25, expected a multiple of 10"):
        FeatureStream(front_end, 25)
