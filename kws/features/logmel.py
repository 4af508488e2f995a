"""The front end: audio to log-mel features, one definition for training and for the board. Needs numpy only.

Mean removal, pre-emphasis, frames without padding, periodic Hann window, power spectrum, mel bands on the
HTK scale with Slaney (area) normalisation, decibels, then normalisation over the clip.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Features


@dataclass(frozen=True)
class FrontEnd:
    """Front-end parameters: the `features` section of params.yaml. Raises ValueError for impossible ones."""

    sample_rate: int
    clip_s: float
    window_ms: float
    hop_ms: float
    n_fft: int
    n_mels: int
    f_min: float
    f_max: float
    preemphasis: float
    norm: Literal["cmvn", "mean", "none"]
    dtype: Literal["float16", "float32"]

    def __post_init__(self) -> None:
        for name, low, high in self._ranges():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, expected {low:g} to {high:g}")
        if self.clip_samples < self.window:
            raise ValueError(f"clip_s is {self.clip_s}, shorter than one window of {self.window_ms} ms")

    def _ranges(self) -> Iterator[tuple[str, float, float]]:
        """Yield each number's range, those first that others follow from: these are then known to be sane."""
        yield "sample_rate", 8000, 48000
        yield "clip_s", 0.2, 10
        yield "window_ms", 5, 100
        yield "hop_ms", 1, self.window_ms
        yield "n_fft", self.window, 8192
        yield "n_mels", 4, 256
        yield "f_max", 1, self.sample_rate / 2
        yield "f_min", 0, self.f_max - 1
        yield "preemphasis", 0, 1

    @property
    def clip_samples(self) -> int:
        """Samples in a clip."""
        return round(self.clip_s * self.sample_rate)

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_ms * self.sample_rate / 1000)

    @property
    def n_frames(self) -> int:
        """Frames in a clip: 98 for one second of 25 ms windows every 10 ms."""
        return 1 + (self.clip_samples - self.window) // self.hop


def features(audio: Features, front_end: FrontEnd) -> Features:
    """Return the normalised log-mel, float32 [frames, n_mels], of float32 [samples] in -1..1."""
    return normalise(log_mel(audio, front_end), front_end.norm)


def log_mel(audio: Features, front_end: FrontEnd) -> Features:
    """Return the log-mel in dB, float32 [frames, n_mels], of float32 [samples] in -1..1.

    All is float64 up to the last rounding: in float32 the rounding noise of a spectrum, relative to the
    loudest bin, reaches the quiet bands of low-passed recordings, and products and logarithms differ in their
    last bits between processors.
    """
    centred = audio.astype(np.float64) - audio.mean(dtype=np.float64)
    emphasised = centred.copy()
    emphasised[1:] -= front_end.preemphasis * centred[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, front_end.window)[:: front_end.hop]
    spectrum = np.fft.rfft(frames * hann(front_end.window), front_end.n_fft)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return decibels(power @ mel_filterbank(front_end))


def decibels(mel: NDArray[np.float64]) -> Features:
    """Return powers in dB, rounded to float32."""
    return (10 * np.log10(mel + 1e-10)).astype(np.float32)


def normalise(log_mel: Features, norm: Literal["cmvn", "mean", "none"]) -> Features:
    """Normalise float32 [frames, n_mels] over time: `cmvn` mean and variance of each band, `mean`, `none`."""
    if norm == "none":
        return log_mel
    centred: Features = log_mel - log_mel.mean(axis=0)
    if norm == "mean":
        return centred
    normalised: Features = centred / (centred.std(axis=0) + np.float32(1e-5))
    return normalised


@lru_cache
def hann(n: int) -> NDArray[np.float64]:
    """Return the periodic Hann window, float64 [n]."""
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return window


@lru_cache
def mel_filterbank(front_end: FrontEnd) -> NDArray[np.float64]:
    """Return triangular filters, float64 [n_fft // 2 + 1, n_mels]: HTK mel scale, each of unit area in Hz."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (front_end.f_min, front_end.f_max))
    edges = 700 * (10 ** (np.linspace(low, high, front_end.n_mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(front_end.n_fft, 1 / front_end.sample_rate)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return triangles
