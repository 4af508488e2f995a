"""Noise at a signal-to-noise ratio that is measured where the word is."""

import numpy as np

from kws.types import Audio


def power(audio: Audio) -> float:
    """Mean square of float32 [samples], in float64."""
    return float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0


def add_noise(clip: Audio, noise: Audio, snr_db: float, active: slice) -> Audio:
    """Return clip + noise, float32 [samples], at `snr_db` over the samples `active`.

    Noise that is silent there is scaled by its power over the whole clip; silent noise changes nothing.
    """
    noise_power = power(noise[active]) or power(noise)
    if noise_power == 0:
        return clip
    gain = np.sqrt(power(clip[active]) / noise_power / 10 ** (snr_db / 10))
    return clip + noise * np.float32(gain)


def gaussian(n: int, seed: int) -> Audio:
    """White Gaussian noise, float32 [n], of unit variance."""
    return np.random.default_rng(seed).standard_normal(n, dtype=np.float32)
