"""Audio in, events out: what `kws spot`, `kws listen` and the board share with the evaluation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio
from kws.detector import Averages, Detector, Event
from kws.runtime.kit import Kit
from kws.runtime.scoring import Gate, Scorer


@dataclass(frozen=True)
class Heard:
    """What a block of audio brought."""

    averages: NDArray[np.float64]
    """of the windows that it completed, [windows, keywords]: what the thresholds are compared with"""
    events: list[Event]


class Spotter:
    """A stream from its audio to its events, the same ones for any chunking."""

    def __init__(self, kit: Kit, gate: Gate | None = None) -> None:
        """Start a stream at time 0."""
        spec, rules = kit.detector, kit.detector.rules
        self._scorer = Scorer(kit.model, kit.front_end, rules.hop_ms, gate)
        self._detector = Detector(spec)
        self._averages = Averages(rules, len(spec.keywords))
        self._columns = spec.columns
        self.windows = 0
        """how many have been heard"""

    def push(self, audio: Audio) -> Heard:
        """Hear float32 [samples] in -1..1."""
        probabilities = self._scorer.push(audio)
        self.windows += len(probabilities)
        averages = self._averages.push(probabilities[:, self._columns])
        return Heard(averages, self._detector.push(averages))
