"""Another voice: vocal tract, pitch and duration, each moved on its own."""

import numpy as np
import python_stretch

from kws.augment.formant import move_formants
from kws.common.types import Audio


def change_voice(audio: Audio, rate: int, formant: float, semitones: float, duration: float) -> Audio:
    """Return float32 [round(samples * duration)], formants times `formant`, pitch moved by `semitones`.

    Formants first, then pitch and time in one pass of Signalsmith Stretch. That pass moves formants along
    with the pitch, as any transposition of the spectrum does, so they are put as far the other way before.
    Source: github.com/Signalsmith-Audio/signalsmith-stretch through python-stretch.
    """
    audio = move_formants(audio, rate, formant / 2 ** (semitones / 12))
    if semitones == 0 and duration == 1:
        return audio
    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, rate)
    stretch.setTransposeSemitones(semitones)
    stretch.setTimeFactor(1 / duration)
    changed: Audio = np.asarray(stretch.process(np.ascontiguousarray(audio[None])), np.float32)[0]
    return changed
