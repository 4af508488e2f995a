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
    padded, window = np.pad(audio, (size, size + (-len(audio)) % hop)), _window(size)
    spectra = fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window)
    spectra *= np.exp(_gain(spectra, factor, round(LIFTER_S * rate)))
    moved: NDArray[np.float32] = fft.irfft(spectra, size, overwrite_x=True)
    moved *= window
    out = np.zeros_like(padded)
    for first in range(OVERLAP):
        rows = moved[first::OVERLAP]
        out[first * hop :][: rows.size] += rows.ravel()
    return out[size : size + len(audio)]


@lru_cache
def _window(size: int) -> Audio:
    """Return the root of a Hann window, so high that the squares of all that hold a sample add up to one."""
    return np.asarray(np.sin(np.pi * np.arange(size) / size) / np.sqrt(OVERLAP / 2), np.float32)


def _gain(spectra: NDArray[np.complex64], factor: float, lifter: int) -> NDArray[np.float32]:
    """Return the log gain of each bin, [frames, bins]."""
    bins = spectra.shape[1]
    to_cepstrum, to_envelope = _cosines(bins, lifter)
    source = np.minimum(np.arange(bins) / factor, bins - 1)
    low = np.minimum(source.astype(int), bins - 2)
    part = (source - low).astype(np.float32)
    to_gain = to_envelope[:, low] * (1 - part) + to_envelope[:, low + 1] * part - to_envelope
    logs = np.square(spectra.real) + np.square(spectra.imag)
    logs += SILENCE
    gain: NDArray[np.float32] = np.log(logs, out=logs) @ to_cepstrum @ to_gain
    return gain.clip(-LIMIT, LIMIT, out=gain)


@lru_cache
def _cosines(bins: int, lifter: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what makes the first `lifter` values of a cepstrum of log powers, and of these the envelope."""
    quefrency, last = np.arange(lifter), bins - 1
    cosines = np.cos(np.pi * np.outer(np.arange(bins), quefrency) / last) / np.sqrt(2 * last)
    ends = np.where(np.isin(np.arange(bins), (0, last)), 1, 2)[:, None]
    return (ends * cosines / 2).astype(np.float32), (np.where(quefrency, 2, 1) * cosines).T.astype(np.float32)
