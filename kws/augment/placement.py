"""Where a sound lies in its clip."""

from functools import lru_cache

import numpy as np

from kws.common.types import Audio

FADE = 80
"""Samples (5 ms at 16 kHz) over which the cut ends of a sound fade, so that they do not click."""


def start_position(length: int, clip: int, shift: float) -> int:
    """Return the first sample of a sound `length` long: centred, moved by `shift`, kept inside the clip."""
    return round(min(max((clip - length) / 2 + shift, 0), max(clip - length, 0)))


def fade_edges(audio: Audio) -> Audio:
    """Return the audio with both ends faded."""
    n = min(FADE, len(audio) // 2)
    faded = audio.copy()
    if n:
        faded[:n] *= _ramp(n)
        faded[-n:] *= _ramp(n)[::-1]
    return faded


@lru_cache
def _ramp(n: int) -> Audio:
    return np.linspace(0, 1, n, endpoint=False, dtype=np.float32)


def place(audio: Audio, start: int, clip: int) -> Audio:
    """Return float32 [clip] with the audio from sample `start` on; what runs past the end is cut."""
    placed = np.zeros(clip, np.float32)
    end = min(clip, start + len(audio))
    placed[start:end] = audio[: end - start]
    return placed
