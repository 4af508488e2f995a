"""A microphone and a codec: frequency response, level, clipping, offset and self-noise."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from kws.common.types import Audio

LOWEST_HZ = 0.1
"""Bins below are treated as if they were there, which float32 holds the eighth power of."""


def colour(audio: Audio, rate: int, gains_db: Sequence[float], low_hz: float, high_hz: float) -> Audio:
    """Return float32 [samples] through a smooth response between two band limits.

    `gains_db` hold at frequencies spaced evenly by octaves from 100 Hz to 0.9 of Nyquist; the band limits
    have Butterworth magnitudes of fourth order. The response has zero phase, so nothing moves in time.
    """
    at = _bins(len(audio), rate, len(gains_db))
    nepers = np.asarray(gains_db, np.float32) * np.float32(np.log(10) / 20)
    response = np.exp(nepers[at.band] + np.diff(nepers, append=0)[at.band] * at.part)
    low, high = (np.float32((hertz / 1000) ** 8) for hertz in (low_hz, high_hz))
    response /= np.sqrt((1 + low / at.eighth_power) * (1 + at.eighth_power / high))
    response[0] = 0
    coloured: Audio = fft.irfft(fft.rfft(audio) * response, len(audio), overwrite_x=True)
    return coloured


class _Bins(NamedTuple):
    """Where the bins of a spectrum lie: [bins]."""

    band: NDArray[np.intp]
    """the last centre below each"""
    part: NDArray[np.float32]
    """of the way to the next one"""
    eighth_power: NDArray[np.float32]
    """of its frequency in kHz"""


@lru_cache(4)
def _bins(n: int, rate: int, bands: int) -> _Bins:
    kilohertz = np.maximum(np.fft.rfftfreq(n, 1 / rate), LOWEST_HZ) / 1000
    centres = np.log(np.geomspace(0.1, 0.45 * rate / 1000, bands))
    place = np.interp(np.log(kilohertz), centres, np.arange(bands))
    band = place.astype(np.intp)
    return _Bins(band, (place - band).astype(np.float32), (kilohertz**8).astype(np.float32))


def set_level(audio: Audio, peak_dbfs: float) -> Audio:
    """Return the audio with its peak at `peak_dbfs` dB below full scale; silence stays silence."""
    peak = float(np.abs(audio).max())
    return audio * np.float32(10 ** (peak_dbfs / 20) / peak) if peak > 0 else audio


def soft_clip(audio: Audio, drive_db: float) -> Audio:
    """Return tanh saturation as by an amplifier `drive_db` too loud; the peak keeps its level."""
    peak = float(np.abs(audio).max())
    if drive_db == 0 or peak == 0:
        return audio
    drive = 10 ** (drive_db / 20)
    clipped: Audio = np.tanh(audio * np.float32(drive / peak)) * np.float32(peak / np.tanh(drive))
    return clipped


def add_floor(audio: Audio, offset: float, floor_dbfs: float, seed: int) -> Audio:
    """Return the audio on a constant offset, with white self-noise at an RMS of `floor_dbfs`."""
    noise = np.random.default_rng(seed).standard_normal(len(audio), dtype=np.float32)
    noise *= np.float32(10 ** (floor_dbfs / 20))
    noise += np.float32(offset)
    noise += audio
    return noise
