"""Another voice: pitch and duration changed independently, in one pass of Signalsmith Stretch."""

import numpy as np
import python_stretch

from kws.types import Audio


def change_voice(audio: Audio, rate: int, semitones: float, duration: float) -> Audio:
    """Return float32 [round(samples * duration)] with the pitch moved by `semitones`.

    Source: Signalsmith Stretch (github.com/Signalsmith-Audio/signalsmith-stretch) through python-stretch.
    """
    if semitones == 0 and duration == 1:
        return audio
    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, rate)
    stretch.setTransposeSemitones(semitones)
    stretch.setTimeFactor(1 / duration)
    changed: Audio = np.asarray(stretch.process(np.ascontiguousarray(audio[None])), np.float32)[0]
    return changed
