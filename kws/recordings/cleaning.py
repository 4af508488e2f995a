"""What lies under a recording all along, taken out of it before a word is looked for."""

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio

LOWEST_HZ = 130
"""Below are offset, bumps and rumble, and of a man's voice one harmonic at most."""
EDGE_S = 0.1
"""What is put before and behind a recording, so that neither end is heard as a click"""
STEP_S, STEPS = 0.016, 4
"""Frames of four steps, 64 ms, are long enough to tell the lines of a hum apart."""
QUIET = 0.2
"""Share of a recording, at least, in which nobody speaks: its noise is measured there."""
MORE = 2.5
"""So many times the noise is taken out, because noise does not stay at its mean."""
LEAST = 0.05
"""Share of each band that is left in any case"""


def without_rumble(audio: Audio, rate: int) -> Audio:
    """Return float32 [samples] without offset and what lies below `LOWEST_HZ`; nothing moves in time.

    The response is that of a Butterworth filter of fourth order, run forwards and backwards.
    """
    n = min(round(EDGE_S * rate), len(audio) - 1)
    centred = audio.astype(np.float64) - np.median(audio)
    padded = np.pad(centred, n, mode="reflect", reflect_type="odd")
    hertz = np.maximum(np.fft.rfftfreq(2 * len(padded), 1 / rate), 1e-3)
    spectrum = np.fft.rfft(padded, 2 * len(padded)) / (1 + (LOWEST_HZ / hertz) ** 8)
    filtered: Audio = np.fft.irfft(spectrum)[n : n + len(audio)].astype(np.float32)
    return filtered


def without_noise(audio: Audio, rate: int) -> Audio:
    """Return float32 [samples] without the hum and the hiss of its quietest fifth; nothing moves in time."""
    step = round(STEP_S * rate)
    frame, lead = STEPS * step, (STEPS - 1) * step
    if len(audio) < 4 * frame:
        return audio
    window = np.hanning(frame + 1)[:-1]
    padded = np.pad(audio, (lead, lead + frame))
    bands = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, frame)[::step] * window)
    power = np.abs(bands) ** 2
    inside = power[STEPS - 1 : len(audio) // step]
    total = inside.sum(axis=1)
    noise = inside[total <= np.quantile(total, QUIET)].mean(axis=0)
    gain = np.sqrt(np.maximum(1 - MORE * noise / (_smooth(power) + 1e-20), LEAST**2))
    pieces = (np.fft.irfft(bands * gain, frame) * window).reshape(len(bands), STEPS, step)
    clean = np.zeros((len(bands) + STEPS - 1, step))
    for place in range(STEPS):
        clean[place : place + len(bands)] += pieces[:, place]
    overlap = np.sum(window.reshape(STEPS, step) ** 2, axis=0)
    quiet: Audio = (clean / overlap).ravel()[lead : lead + len(audio)].astype(np.float32)
    return quiet


def _smooth(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [frames, bands] averaged with all neighbours, so that no band of noise stands out by chance."""
    padded = np.pad(power, 1, mode="edge")
    n, m = power.shape
    shifted = [padded[i : i + n, j : j + m] for i in range(3) for j in range(3)]
    smooth: NDArray[np.float64] = np.mean(shifted, axis=0)
    return smooth
