"""The front end: shapes that follow from parameters, golden vectors, and agreement with torchaudio."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from conftest import RATE, ROOT, SEEDS, changed, real
from kws.features.logmel import FrontEnd, features, log_mel, mel_filterbank, normalise
from kws.params.whole import load_params
from kws.recordings.audio import audio_files, read_audio

GOLDEN = ROOT / "tests/golden/repetir_logmel.npy"


def torchaudio_log_mel(audio: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """The same definition by other hands, in float64."""
    wave = torch.from_numpy(audio).double()
    wave = torchaudio.functional.preemphasis(wave - wave.mean(), front_end.preemphasis)
    frames = wave.unfold(0, front_end.window, front_end.hop) * torch.hann_window(
        front_end.window, dtype=torch.float64
    )
    power = torch.fft.rfft(frames, front_end.n_fft).abs().square()
    bank = torchaudio.functional.melscale_fbanks(
        front_end.n_fft // 2 + 1, front_end.f_min, front_end.f_max, front_end.n_mels, RATE, "slaney", "htk"
    )
    return (10 * torch.log10(power @ bank.double() + 1e-10)).numpy()


def one_second(audio: np.ndarray) -> np.ndarray:
    return np.pad(audio[:RATE], (0, max(0, RATE - len(audio))))


def test_one_second_is_98_frames_of_64_bands(front_end, word):
    assert front_end.n_frames == 98
    assert features(one_second(word), front_end).shape == (98, 64)
    assert features(one_second(word), front_end).dtype == np.float32


def test_golden_vectors(front_end, word):
    assert np.abs(log_mel(one_second(word), front_end) - np.load(GOLDEN)).max() < 1e-3


@pytest.mark.parametrize("path", sorted(SEEDS.rglob("*.*")), ids=lambda p: p.stem)
def test_shipped_recordings_agree_with_torchaudio(front_end, path):
    audio = one_second(read_audio(path, RATE))
    assert np.abs(log_mel(audio, front_end) - torchaudio_log_mel(audio, front_end)).max() < 1e-3


@pytest.mark.parametrize("folder", ["human_es", "fsdd/recordings"])
def test_real_recordings_agree_with_torchaudio(front_end, folder):
    files = sorted(real(folder).rglob("*.wav"))[:: 40 if "fsdd" in folder else 1]
    for path in files:
        audio = one_second(read_audio(path, RATE))
        assert np.abs(log_mel(audio, front_end) - torchaudio_log_mel(audio, front_end)).max() < 1e-3, path


@given(
    clip_s=st.floats(0.3, 2),
    window_ms=st.sampled_from([16, 20, 25, 32]),
    hop_ms=st.sampled_from([8, 10, 12.5]),
    n_mels=st.integers(8, 80),
)
def test_shapes_follow_from_parameters(clip_s, window_ms, hop_ms, n_mels):
    default = load_params(ROOT / "params.yaml").features
    front_end = changed(default, clip_s=clip_s, window_ms=window_ms, hop_ms=hop_ms, n_mels=n_mels)
    noise = np.random.default_rng(0).standard_normal(front_end.clip_samples).astype(np.float32)
    assert features(noise, front_end).shape == (front_end.n_frames, n_mels)
    assert front_end.window + (front_end.n_frames - 1) * front_end.hop <= front_end.clip_samples


def test_a_constant_offset_changes_nothing(front_end, word):
    audio = one_second(word)
    assert np.abs(features(audio + np.float32(0.1), front_end) - features(audio, front_end)).max() < 0.02


def test_normalisations(front_end, word):
    raw = log_mel(one_second(word), front_end)
    cmvn = normalise(raw, "cmvn")
    assert np.abs(cmvn.mean(axis=0)).max() < 1e-4
    assert np.allclose(cmvn.std(axis=0), 1, atol=1e-3)
    assert np.allclose(normalise(raw, "mean"), raw - raw.mean(axis=0), atol=1e-4)
    assert normalise(raw, "none") is raw


def test_silence_is_finite(front_end):
    assert np.isfinite(features(np.zeros(RATE, np.float32), front_end)).all()


def test_each_mel_filter_has_unit_area(front_end):
    area = mel_filterbank(front_end).sum(axis=0) * RATE / front_end.n_fft
    assert np.allclose(area[20:], 1, atol=0.1)


def test_background_files_have_features_too(front_end):
    for path in audio_files(SEEDS / "FONDO"):
        assert np.isfinite(features(one_second(read_audio(path, RATE)), front_end)).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"n_fft": 256}, "n_fft is 256, expected 400 to 8192"),
        ({"hop_ms": 30}, "hop_ms is 30, expected 1 to 25"),
        ({"f_max": 9000}, "f_max is 9000, expected 1 to 8000"),
        ({"n_mels": 2}, "n_mels is 2, expected 4 to 256"),
        ({"clip_s": 0.1}, "clip_s is 0.1, expected 0.2 to 10"),
    ],
)
def test_impossible_parameters_are_refused(front_end, values, says):
    with pytest.raises(ValueError, match=says):
        changed(front_end, **values)


ASKED = """
import hashlib
from kws.features.logmel import features
from kws.params.whole import load_params
from kws.recordings.audio import audio_files, read_audio
from pathlib import Path
front_end, heard = load_params(Path("params.yaml")).features, hashlib.sha256()
for path in audio_files(Path("data/seeds"))[:8]:
    audio = read_audio(path, 16000)
    for start in range(0, len(audio) - 16000, 1600):
        heard.update(features(audio[start : start + 16000], front_end).astype(front_end.dtype).tobytes())
print(heard.hexdigest())
"""


AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NPY_DISABLE_CPU_FEATURES", AVX512),
        ("NPY_DISABLE_CPU_FEATURES", f"{AVX512} AVX2 FMA3"),
        ("OPENBLAS_CORETYPE", "Haswell"),
        ("OPENBLAS_CORETYPE", "Prescott"),
    ],
)
def test_features_are_the_same_bytes_on_older_processors(variable, value):
    """As far as one machine can tell: numpy and BLAS are made to take the paths of others."""

    def heard(environment):
        command = [sys.executable, "-W", "ignore", "-c", ASKED]
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout

    assert heard({variable: value}) == heard({})
