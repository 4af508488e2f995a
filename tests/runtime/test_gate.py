"""The gate lets speech through and keeps silence out; the gain brings speech to one level."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE, changed
from kws.common.errors import UserError
from kws.features.streaming import FeatureStream
from kws.runtime.gate import AutomaticGain, SpeechGate
from kws.runtime.inference import Classifier
from kws.runtime.scoring import Scorer


@pytest.fixture(scope="module")
def audio(word):
    """10 s of faint hiss with one word from 4 s on."""
    hiss = 1e-4 * np.random.default_rng(0).standard_normal(10 * RATE, dtype=np.float32)
    hiss[4 * RATE : 4 * RATE + len(word)] += word
    return hiss


def test_windows_with_the_word_pass_and_silence_does_not(audio, front_end):
    worth = SpeechGate(front_end, 100).push(audio)
    ends = 1 + np.arange(len(worth)) / 10
    assert len(worth) == len(FeatureStream(front_end, 100).push(audio)) == 91
    assert worth[(ends > 4.3) & (ends < 5.5)].all()
    assert not worth[(ends < 4) | (ends > 7)].any()


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 10 * RATE), max_size=8), hop_ms=st.sampled_from([100, 250, 1000, 1500]))
def test_any_chunking_gives_one_answer_a_window(audio, front_end, cuts, hop_ms):
    front_end = changed(front_end, clip_s=0.755)
    gate, stream = SpeechGate(front_end, hop_ms), FeatureStream(front_end, hop_ms)
    parts = []
    for part in np.split(audio, sorted(cuts)):
        parts.append(gate.push(part))
        assert len(parts[-1]) == len(stream.push(part))
    whole = SpeechGate(front_end, hop_ms).push(audio)
    assert np.concatenate(parts).tolist() == whole.tolist()


class Session:
    """A model that counts how often it is asked."""

    runs = 0

    def get_inputs(self):
        return [type("Input", (), {"name": "input", "shape": [1, 1, 98, 64]})]

    get_outputs = lambda self: [type("Output", (), {"name": "output", "shape": [1, 2]})]  # noqa: E731

    def run(self, names, feed):
        self.runs += 1
        return [np.array([[3.0, 0.0]], np.float32)]


def test_the_model_is_spared_where_the_gate_is_shut(audio, front_end):
    session = Session()
    scorer = Scorer(Classifier(session), front_end, 100, SpeechGate(front_end, 100))
    scores = np.concatenate([scorer.push(part) for part in np.split(audio, 100)])
    worth = SpeechGate(front_end, 100).push(audio)
    assert session.runs == worth.sum() < 40
    assert (scores[~worth] == 0).all()
    assert np.allclose(scores[worth].sum(axis=1), 1)


def test_a_gate_needs_its_library_and_a_rate_that_it_knows(front_end, monkeypatch):
    with pytest.raises(UserError, match="--gate: needs 8000, 16000, 32000, 48000 Hz"):
        SpeechGate(changed(front_end, sample_rate=22050, n_fft=1024), 100)
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(UserError, match="--gate: needs webrtcvad"):
        SpeechGate(front_end, 100)


def rms_dbfs(audio):
    return 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))


@pytest.mark.parametrize("level", [-45, -12])
def test_gain_brings_quiet_and_loud_to_one_level(level):
    noise = np.random.default_rng(0).standard_normal(20 * RATE, dtype=np.float32) * 10 ** (level / 20)
    louder = AutomaticGain(RATE).push(noise.clip(-1, 1))
    assert rms_dbfs(louder[-RATE:]) == pytest.approx(-23, abs=1)
    assert np.abs(np.diff(louder)).max() <= np.abs(np.diff(noise)).max() * 10 ** (30 / 20)


def test_gain_leaves_silence_alone():
    silence = np.full(RATE, 1e-5, np.float32)
    assert np.array_equal(AutomaticGain(RATE).push(silence), silence)


@given(cuts=st.lists(st.integers(0, 3 * RATE), max_size=6))
def test_gain_is_the_same_for_any_chunking(audio, cuts):
    part = audio[3 * RATE : 6 * RATE + 77]
    gain = AutomaticGain(RATE)
    parts = [gain.push(piece) for piece in np.split(part, sorted(cuts))]
    assert np.concatenate(parts).tobytes() == AutomaticGain(RATE).push(part).tobytes()
