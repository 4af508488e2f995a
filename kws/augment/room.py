"""A room around the voice: convolution with a room impulse response (RIR)."""

import numpy as np

from kws.common.types import Audio


def reverberate(audio: Audio, rir: Audio) -> Audio:
    """Return float32 [samples + taps - 1] at the energy of `audio`; the RIR starts at its direct path."""
    n = len(audio) + len(rir) - 1
    size = 1 << (n - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(rir, size), size)[:n].astype(np.float32)
    energy = float(np.sum(np.square(wet, dtype=np.float64)))
    gain = np.sqrt(np.sum(np.square(audio, dtype=np.float64)) / energy) if energy > 0 else 1.0
    return wet * np.float32(gain)
