"""Another vocal tract: the spectral envelope moved along the frequency axis, the pitch left where it is."""

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio

WINDOW_S, LIFTER_S = 0.032, 0.002
LIMIT = np.log(10) * 1.5
"""Largest gain of one bin, 30 dB in log amplitude: bands that hold nothing are not lifted out of it."""


def move_formants(audio: Audio, rate: int, factor: float) -> Audio:
    """Return float32 [samples] with every formant at `factor` times its frequency.

    The envelope of each frame is its low-quefrency cepstrum; the frame is multiplied by the ratio of the
    moved envelope to the present one. Sources: Oppenheim and Schafer, "Homomorphic Analysis of Speech",
    IEEE Trans. Audio 16 (1968); as augmentation, Jaitly and Hinton, "Vocal Tract Length Perturbation",
    ICML workshop 2013.
    """
    if factor == 1:
        return audio
    size = 1 << round(np.log2(WINDOW_S * rate))
    hop = size // 4
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    padded = np.pad(audio, (size, size + (-len(audio)) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    spectra = np.fft.rfft(frames)
    spectra *= np.exp(_gain(spectra, factor, round(LIFTER_S * rate)))
    moved = np.fft.irfft(spectra, size).astype(np.float32) * window
    out = np.zeros_like(padded)
    for quarter in range(4):
        rows = moved[quarter::4]
        start = quarter * hop
        out[start : start + rows.size] += rows.ravel()
    return out[size : size + len(audio)] / np.float32(2)


def _gain(spectra: NDArray[np.complexfloating], factor: float, lifter: int) -> NDArray[np.floating]:
    """Return the log gain of each bin, [frames, bins]."""
    bins = spectra.shape[1]
    cepstra = np.fft.irfft(np.log(np.abs(spectra) + 1e-6), 2 * (bins - 1))
    cepstra[:, lifter : 1 - lifter] = 0
    envelope = np.fft.rfft(cepstra).real
    source = np.minimum(np.arange(bins) / factor, bins - 1)
    low = np.minimum(source.astype(int), bins - 2)
    part = source - low
    moved = envelope[:, low] * (1 - part) + envelope[:, low + 1] * part
    gain: NDArray[np.floating] = np.clip(moved - envelope, -LIMIT, LIMIT)
    return gain
