"""Another voice: vocal tract, pitch and duration, each moved on its own."""

from functools import lru_cache
from typing import Any

import numpy as np
import python_stretch

from kws.augment.formant import move_formants
from kws.common.types import Audio

BLOCK_S, INTERVAL_S = 0.064, 0.0256
"""Signalsmith's window, short enough for consonants, and from one to the next: a sample is in 2.5 of them."""


def change_voice(audio: Audio, rate: int, formant: float, semitones: float, duration: float) -> Audio:
    """Return float32 [round(samples * duration)], formants times `formant`, pitch moved by `semitones`.

    Formants first, then pitch and time in one pass of Signalsmith Stretch. That pass moves formants along
    with the pitch, as any transposition of the spectrum does, so they are put as far the other way before.
    Source: github.com/Signalsmith-Audio/signalsmith-stretch through python-stretch.
    """
    audio = move_formants(audio, rate, formant / 2 ** (semitones / 12))
    if semitones == 0 and duration == 1:
        return audio
    stretch = _stretch(rate)
    stretch.setTransposeSemitones(semitones)
    stretch.setTimeFactor(1 / duration)
    changed: Audio = np.asarray(stretch.process(np.ascontiguousarray(audio[None])), np.float32)[0]
    return changed


@lru_cache
def _stretch(rate: int) -> Any:
    """Return a stretcher, which begins anew with each recording.

    Only to more than twice the duration it would draw random phases, for an even interval.
    """
    stretch = python_stretch.Signalsmith.Stretch(0)
    stretch.configure(1, round(BLOCK_S * rate), 2 * round(INTERVAL_S * rate / 2))
    return stretch
