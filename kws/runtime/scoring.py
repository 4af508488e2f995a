"""A model listening to a stream: audio in, one probability of each label a window out."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.types import Audio, Logits
from kws.features.logmel import FrontEnd
from kws.features.streaming import FeatureStream
from kws.runtime.inference import Classifier, softmax


class Gate(Protocol):
    """Says which windows of a stream are worth the model's time."""

    def push(self, audio: Audio) -> NDArray[np.bool_]:
        """Return bool [windows] of the windows that float32 [samples] completes."""


class Scorer:
    """Probabilities of the windows of a stream, the same bytes for any chunking."""

    def __init__(
        self, model: Classifier, front_end: FrontEnd, hop_ms: float, gate: Gate | None = None
    ) -> None:
        """Start a stream; a window that the gate keeps out scores 0 for every label.

        Raises UserError, later, where the model answers what is no number: nothing would ever fire again.
        """
        self._model, self._gate = model, gate
        self._features = FeatureStream(front_end, hop_ms)

    def push(self, audio: Audio) -> Logits:
        """Return float32 [windows, labels] of the windows that float32 [samples] completes."""
        windows = self._features.push(audio)
        if self._gate is None:
            return probabilities(self._model, windows)
        scores = np.zeros((len(windows), self._model.n_labels), np.float32)
        worth = self._gate.push(audio)
        scores[worth] = probabilities(self._model, windows[worth])
        return scores


def probabilities(model: Classifier, windows: NDArray[np.float32]) -> Logits:
    """Return float32 [windows, labels]; raise UserError where the model answers what is no number."""
    logits = model.logits(windows)
    if not np.isfinite(logits).all():
        raise UserError("the model answers NaN or infinity: it does not run properly here")
    return softmax(logits)
