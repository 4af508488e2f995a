"""Whether two sounds are one word, said twice."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio

HOP_S, FRAME_S = 0.01, 0.032
N_BANDS, LOWEST_HZ, HIGHEST_HZ = 20, 150, 3800
"""Bands as wide as hearing makes them, within what a telephone lets through."""
RANGE_DB = 50
FARTHEST_DB, WORST_DB = 3.0, 7.0
"""Distance along the best path, its mean and where it is worst. Six in ten of the words that one speaker said
twice are nearer, and one in forty of different words (English digits by telephone, Arabic commands)."""
STRETCH = 8
"""Steps of the path over which it may be worst"""
LONGER = 1.8
"""Times the shorter one; whoever says a word again says it about as fast."""


def alike(a: Audio, b: Audio, rate: int) -> bool:
    """Say whether two sounds, float32 [samples], are takes of one word by one voice.

    Their spectra are compared along the path, forward in both, on which they differ least: dynamic time
    warping, as in Sakoe and Chiba, "Dynamic Programming Algorithm Optimization for Spoken Word
    Recognition", IEEE Transactions on Acoustics, Speech, and Signal Processing 26 (1978).
    """
    if max(len(a), len(b)) > LONGER * min(len(a), len(b)):
        return False
    x, y = _bands(a, rate), _bands(b, rate)
    mean, steps = _warped(np.sqrt(np.mean((x[:, None] - y[None]) ** 2, axis=2)))
    stretches = np.convolve(steps, np.full(STRETCH, 1 / STRETCH), "valid") if len(steps) >= STRETCH else steps
    return mean <= FARTHEST_DB and float(np.quantile(stretches, 0.9)) <= WORST_DB


def _warped(apart: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the mean of distances [hops, hops] along the best path, and each of them."""
    n, m = apart.shape
    best = np.full((n + 1, m + 1), np.inf)
    best[0, 0] = 0
    for i, row in enumerate(apart):
        for j, distance in enumerate(row):
            best[i + 1, j + 1] = distance + min(best[i, j], best[i, j + 1], best[i + 1, j])
    i, j, steps = n, m, []
    while i and j:
        steps.append(apart[i - 1, j - 1])
        i, j = min((i - 1, j - 1), (i - 1, j), (i, j - 1), key=lambda at: float(best[at]))
    return float(best[n, m]) / (n + m), np.array(steps)


def _bands(audio: Audio, rate: int) -> NDArray[np.float64]:
    """Return the level of each band in dB, [hops, bands], about the mean of the band."""
    n, hop = round(FRAME_S * rate), round(HOP_S * rate)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, n // 2), n)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(n))) ** 2
    low, high = np.log1p(LOWEST_HZ / 700), np.log1p(HIGHEST_HZ / 700)  # even steps of the mel scale
    edges = np.round(700 * np.expm1(np.linspace(low, high, N_BANDS + 1)) / rate * n).astype(int)
    bands = [power[:, a : max(b, a + 1)].mean(axis=1) for a, b in pairwise(edges)]
    level = 10 * np.log10(np.stack(bands, axis=1) + 1e-12)
    heard = np.maximum(level, level.max() - RANGE_DB)
    about: NDArray[np.float64] = heard - heard.mean(axis=0)
    return about
