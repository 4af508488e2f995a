"""Running a model: features in, logits and probabilities out. Needs onnxruntime, not torch."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from kws.types import Features, Labels, Logits


class Classifier:
    """An ONNX model with one input float32 [1, 1, frames, n_mels] and one output float32 [1, labels]."""

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        """Load a model from a file or from its bytes."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        source = model if isinstance(model, bytes) else str(model)
        self.session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.n_labels: int = self.session.get_outputs()[0].shape[1]

    def logits(self, features: Features) -> Logits:
        """Return logits float32 [n, labels] of features float32 [n, 1, frames, n_mels], one by one."""
        logits = np.empty((len(features), self.n_labels), np.float32)
        for index, row in enumerate(features):
            logits[index] = self.session.run(None, {self.input: row[None]})[0][0]
        return logits


def accuracy(logits: Logits, actual: Labels) -> float:
    """Return the share of rows whose largest logit is the actual label's."""
    return float(np.mean(logits.argmax(axis=1) == actual))


def softmax(logits: Logits) -> Logits:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Logits = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
