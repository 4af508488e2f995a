"""A microphone and a codec: frequency response, level, clipping, offset and self-noise."""

from collections.abc import Sequence

import numpy as np

from kws.common.types import Audio


def colour(audio: Audio, rate: int, gains_db: Sequence[float], low_hz: float, high_hz: float) -> Audio:
    """Return float32 [samples] through a smooth response between two band limits.

    `gains_db` hold at frequencies spaced evenly by octaves from 100 Hz to 0.9 of Nyquist; the band limits
    have Butterworth magnitudes of fourth order. The response has zero phase, so nothing moves in time.
    """
    n = len(audio)
    hertz = np.fft.rfftfreq(n, 1 / rate)[1:]
    centres = np.geomspace(100, 0.45 * rate, len(gains_db))
    gain = 10 ** (np.interp(np.log(hertz), np.log(centres), gains_db) / 20)
    gain /= np.sqrt((1 + (low_hz / hertz) ** 8) * (1 + (hertz / high_hz) ** 8))
    response = np.concatenate([[0], gain]).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(audio) * response, n).astype(np.float32)


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
    return audio + np.float32(offset) + noise * np.float32(10 ** (floor_dbfs / 20))
