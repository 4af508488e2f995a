"""Noise at a signal-to-noise ratio that is measured where the word is."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from kws.common.types import Audio


def power(audio: Audio) -> float:
    """Mean square of float32 [samples]."""
    return float(np.mean(np.square(audio))) if len(audio) else 0.0


def add_noise(clip: Audio, noise: Audio, snr_db: float, active: slice) -> Audio:
    """Return clip + noise, float32 [samples], at `snr_db` over the samples `active`.

    Noise that is silent there is scaled by its power over the whole clip; silent noise changes nothing.
    """
    noise_power = power(noise[active]) or power(noise)
    if noise_power == 0:
        return clip
    gain = np.sqrt(power(clip[active]) / noise_power / 10 ** (snr_db / 10))
    scaled: Audio = noise * np.float32(gain)
    scaled += clip
    return scaled


def blend(layers: Sequence[Audio], active: slice) -> Audio:
    """Return the sum of noises, each scaled to the same power over the samples `active`."""
    total = np.zeros_like(layers[0])
    for layer in layers:
        layer_power = power(layer[active]) or power(layer)
        if layer_power > 0:
            total += layer / np.float32(np.sqrt(layer_power))
    return total


def coloured(n: int, slope_db: float, rate: int, seed: int) -> Audio:
    """Gaussian noise, float32 [n], whose spectrum falls by `slope_db` an octave above 20 Hz; 0 is white."""
    white = np.random.default_rng(seed).standard_normal(n, dtype=np.float32)
    if slope_db == 0:
        return white
    shape = np.exp(_octaves(n, rate) * np.float32(-slope_db * np.log(10) / 20))
    noise: Audio = fft.irfft(fft.rfft(white) * shape, n, overwrite_x=True)
    return noise


@lru_cache(4)
def _octaves(n: int, rate: int) -> NDArray[np.float32]:
    """Return how far each bin of `n` samples is above 1 kHz, in octaves; below 20 Hz it is as far as that."""
    octaves: NDArray[np.float32] = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / rate), 20) / 1000).astype(
        np.float32
    )
    return octaves
