"""The front end on a stream: the features of a window every hop, each spectrum taken once. numpy only.

`features` removes the mean of a whole clip before anything else, and that of a window is known only at its
end. Pre-emphasis turns that mean into a constant c, so a frame's spectrum is X - cH with H that of the Hann
window, and its power is |X|² - 2c Re(X H*) + c²|H|². The mel filters are linear, so two numbers a frame and
band (`power` and `cross`) are all that a window needs once its mean is there. (A frame's first sample, where
the pre-emphasis of a clip begins, has weight 0 in a periodic Hann window.)
"""

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio, Features
from kws.features.logmel import FrontEnd, decibels, hann, mel_filterbank, normalise

Bands = NDArray[np.float64]
"""A quantity of each frame and mel band: [frames, n_mels]."""


def n_windows(samples: int, front_end: FrontEnd, hop_ms: float) -> int:
    """Return how many windows, `hop_ms` apart, a stream of so many samples has."""
    return max(0, 1 + (samples - front_end.clip_samples) // hop_samples(front_end, hop_ms))


def hop_samples(front_end: FrontEnd, hop_ms: float) -> int:
    """Return the samples from one window to the next."""
    return round(hop_ms / front_end.hop_ms) * front_end.hop


class FeatureStream:
    """Features of the windows of a stream, as `features` gives them, the same bytes for any chunking."""

    def __init__(self, front_end: FrontEnd, hop_ms: float) -> None:
        """Take windows `hop_ms` apart. Raises ValueError unless that is a whole number of frames."""
        frames = hop_ms / front_end.hop_ms
        if frames < 1 or frames != round(frames):
            raise ValueError(f"hop_ms is {hop_ms:g}, expected a multiple of {front_end.hop_ms:g}")
        self._front_end = front_end
        self._frames, self._hop = round(frames), round(frames) * front_end.hop
        self._filters = mel_filterbank(front_end)
        self._window = hann(front_end.window)
        self._constant = np.fft.rfft(self._window, front_end.n_fft)
        self._constant_power = np.square(np.abs(self._constant)) @ self._filters
        self._audio = np.zeros(0, np.float32)
        self._start = 0  # of the next window; beyond the audio where hops are longer than windows
        self._power = self._cross = np.zeros((0, front_end.n_mels))

    def push(self, audio: Audio) -> Features:
        """Return float32 [n, 1, frames, n_mels] of the n windows that float32 [samples] completes."""
        front_end, windows = self._front_end, []
        self._audio = np.concatenate([self._audio, audio])
        while len(self._audio) >= self._start + front_end.clip_samples:
            clip = self._audio[self._start : self._start + front_end.clip_samples]
            self._append(clip[len(self._power) * front_end.hop :])
            windows.append(self._features(clip.mean(dtype=np.float64)))
            self._power, self._cross = self._power[self._frames :], self._cross[self._frames :]
            self._start += self._hop
        past = min(self._start, len(self._audio))
        self._audio, self._start = self._audio[past:], self._start - past
        shape = (len(windows), 1, front_end.n_frames, front_end.n_mels)
        return np.array(windows, np.float32).reshape(shape)

    def _append(self, audio: Audio) -> None:
        """Add the frames that lie in float32 [samples]."""
        front_end = self._front_end
        emphasised = audio.astype(np.float64)
        emphasised[1:] -= front_end.preemphasis * emphasised[:-1]
        frames = np.lib.stride_tricks.sliding_window_view(emphasised, front_end.window)[:: front_end.hop]
        spectrum = np.fft.rfft(frames * self._window, front_end.n_fft)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        cross = spectrum.real * self._constant.real + spectrum.imag * self._constant.imag
        self._power = np.concatenate([self._power, power @ self._filters])
        self._cross = np.concatenate([self._cross, cross @ self._filters])

    def _features(self, mean: float) -> Features:
        c = mean * (1 - self._front_end.preemphasis)
        mel = np.maximum(self._power - 2 * c * self._cross + c**2 * self._constant_power, 0)
        return normalise(decibels(mel), self._front_end.norm)
