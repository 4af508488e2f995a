"""What was played, found again in what was recorded."""

import numpy as np
import soundfile
import soxr
from scipy.signal import correlate

ALIKE = 0.6
"""Correlation that no other sound comes near; a busy machine drops some blocks of what is played."""


def likeness(audio, rate, sound):
    """The highest correlation between a recording, or a stretch of it, and what was played."""
    expected, own = soundfile.read(sound, dtype="float64")
    heard = soxr.resample(np.asarray(audio, np.float64), rate, own)
    energy = np.convolve(heard**2, np.ones(len(expected)), "valid")
    products = correlate(heard, expected, "valid")
    return float(np.max(products / np.sqrt(np.maximum(energy, 1e-9) * np.sum(expected**2))))
