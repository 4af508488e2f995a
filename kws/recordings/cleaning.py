"""What lies under a recording all along, taken out of it before a word is looked for."""

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.signal import butter, istft, sosfiltfilt, stft

from kws.common.types import Audio

LOWEST_HZ = 130
"""Below are offset, bumps and rumble, and of a man's voice one harmonic at most."""
FRAME_S = 0.064
"""Long enough to tell the lines of a hum apart"""
QUIET = 0.2
"""Share of a recording, at least, in which nobody speaks: its noise is measured there."""
MORE = 2.5
"""So many times the noise is taken out, because noise does not stay at its mean."""
LEAST = 0.05
"""Share of each band that is left in any case"""


def without_rumble(audio: Audio, rate: int) -> Audio:
    """Return float32 [samples] without offset and what lies below `LOWEST_HZ`; nothing moves in time."""
    centred = audio.astype(np.float64) - np.median(audio)
    sections = butter(4, LOWEST_HZ, "high", fs=rate, output="sos")
    high: Audio = sosfiltfilt(sections, centred, padlen=min(rate // 10, len(audio) - 1)).astype(np.float32)
    return high


def without_noise(audio: Audio, rate: int) -> Audio:
    """Return float32 [samples] without the hum and the hiss of its quietest fifth; nothing moves in time."""
    frame = round(FRAME_S * rate)
    if len(audio) < 4 * frame:
        return audio
    _, _, bands = stft(audio, rate, nperseg=frame, noverlap=frame * 3 // 4)
    power = np.abs(bands) ** 2
    total = power.sum(axis=0)
    noise = power[:, total <= np.quantile(total, QUIET)].mean(axis=1, keepdims=True)
    # smoothed, so that no band of the noise stands out by chance
    smooth = uniform_filter(power, 3) + 1e-20
    gain = np.sqrt(np.maximum(1 - MORE * noise / smooth, LEAST**2))
    _, cleaned = istft(bands * gain, rate, nperseg=frame, noverlap=frame * 3 // 4)
    clean: Audio = cleaned[: len(audio)].astype(np.float32)
    return clean
