"""A room around the voice: convolution with a room impulse response (RIR)."""

import numpy as np
from scipy import fft

from kws.common.types import Audio


def reverberate(audio: Audio, rir: Audio) -> Audio:
    """Return float32 [samples + taps - 1] at the energy of `audio`; the RIR starts at its direct path."""
    n = len(audio) + len(rir) - 1
    size = fft.next_fast_len(n, real=True)
    wet: Audio = fft.irfft(fft.rfft(audio, size) * fft.rfft(rir, size), size, overwrite_x=True)[:n]
    energy = float(np.sum(np.square(wet)))
    gain = np.sqrt(float(np.sum(np.square(audio))) / energy) if energy > 0 else 1.0
    wet *= np.float32(gain)
    return wet
