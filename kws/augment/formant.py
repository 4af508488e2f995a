"""Another vocal tract: the spectral envelope moved along the frequency axis, the pitch left where it is."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from kws.common.types import Audio

HOP_S, OVERLAP, LIFTER_S = 0.01, 3, 0.002
"""From one frame to the next; how many frames a sample is in; up to where a cepstrum is the envelope."""
LIMIT = np.float32(np.log(10) * 1.5)
"""Largest gain of one bin, 30 dB in log amplitude: bands that hold nothing are not lifted out of it."""
SILENCE = np.float32(1e-12)
"""Power of a bin below which its logarithm is that of silence."""


def move_formants(audio: Audio, rate: int, factor: float) -> Audio:
    """Return float32 [samples] with every formant at `factor` times its frequency.

    The envelope of each frame is its low-quefrency cepstrum; the frame is multiplied by the ratio of the
    moved envelope to the present one. Sources: Oppenheim and Schafer, "Homomorphic Analysis of Speech",
    IEEE Trans. Audio 16 (1968); as augmentation, Jaitly and Hinton, "Vocal Tract Length Perturbation",
    ICML workshop 2013.
    """
    if factor == 1:
        return audio
    hop = 2 * round(HOP_S * rate / 2)
    size = OVERLAP * hop
    around, window = size - hop, _window(size)
    padded = np.zeros(around + hop * -(-len(audio) // hop) + around, np.float32)
    padded[around : around + len(audio)] = audio
    spectra = fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window)
    spectra *= np.exp(_gain(spectra, factor, round(LIFTER_S * rate)))
    moved: NDArray[np.float32] = fft.irfft(spectra, size, overwrite_x=True)
    moved *= window
    out = np.zeros_like(padded)
    for first in range(OVERLAP):
        rows = moved[first::OVERLAP]
        out[first * hop :][: rows.size] += rows.ravel()
    return out[around : around + len(audio)]


@lru_cache
def _window(size: int) -> Audio:
    """Return the root of a Hann window, so high that the squares of all that hold a sample add up to one."""
    return np.asarray(np.sin(np.pi * np.arange(size) / size) / np.sqrt(OVERLAP / 2), np.float32)


def _gain(spectra: NDArray[np.complex64], factor: float, lifter: int) -> NDArray[np.float32]:
    """Return the log gain of each bin, [frames, bins].

    Cosine transforms and no matrix products, whose last bits depend on the number of threads.
    """
    bins = spectra.shape[1]
    power = np.square(spectra.real) + np.square(spectra.imag)
    power += SILENCE
    cepstra = fft.dct(np.log(power, out=power), 1, overwrite_x=True)
    cepstra[:, lifter:] = 0
    envelope = fft.idct(cepstra, 1, overwrite_x=True)
    envelope *= np.float32(0.5)  # from power to amplitude
    source = np.minimum(np.arange(bins) / factor, bins - 1)
    low = np.minimum(source.astype(int), bins - 2)
    part = (source - low).astype(np.float32)
    gain: NDArray[np.float32] = envelope[:, low] * (1 - part)
    gain += envelope[:, low + 1] * part
    gain -= envelope
    return gain.clip(-LIMIT, LIMIT, out=gain)
