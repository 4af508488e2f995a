"""Running a model: features in, logits and probabilities out. Needs what runs the model, not torch."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kws.common.errors import UserError
from kws.common.types import Features, Labels, Logits

WITH_VNNI = {"avx_vnni", "avx512_vnni", "asimddp", "i8mm"}
"""Flags of processors that add up products of 8 bits in 32, as /proc/cpuinfo names them."""


class Session(Protocol):
    """A loaded model: what the sessions of onnxruntime and of axengine have in common."""

    def get_inputs(self) -> Sequence[Any]:
        """Return the inputs, each with a `name` and a `shape`."""

    def get_outputs(self) -> Sequence[Any]:
        """Return the outputs, each with a `name` and a `shape`."""

    def run(self, output_names: None, input_feed: dict[str, Features]) -> Sequence[Any]:
        """Return all outputs of one run."""


@cache
def instructions() -> list[str] | None:
    """Return which instructions for 8-bit products this processor has; None where it does not say."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return sorted(WITH_VNNI & set(told.split()))


def cpu_session(model: Path | bytes, threads: int = 1) -> Session:
    """Load an ONNX model, from a file or from its bytes, to run on the CPU.

    x86 without VNNI adds pairs of u8 x s8 products in 16 bits that saturate, which 8-bit weights exceed.
    There ONNX Runtime is told to shift such weights to u8: the same sums, in up to twice the time.
    """
    import onnxruntime as ort  # not on a board that runs its model on the NPU

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if not instructions():
        options.add_session_config_entry("session.x64quantprecision", "1")
    source = model if isinstance(model, bytes) else str(model)
    session: Session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return session


class Classifier:
    """A model with one input float32 [1, 1, frames, n_mels] and one output float32 [1, labels]."""

    def __init__(self, model: Path | bytes | Session, threads: int = 1) -> None:
        """Take an ONNX model, from a file or from its bytes, or a model that is loaded already."""
        self.session = cpu_session(model, threads) if isinstance(model, Path | bytes) else model
        self._made_of = model, threads
        self.input: str = self.session.get_inputs()[0].name
        self.n_labels: int = self.session.get_outputs()[0].shape[1]

    def __reduce__(self) -> tuple[type["Classifier"], tuple[Any, ...]]:
        """Travel to another machine as the model's bytes, to be loaded there."""
        model, threads = self._made_of
        return Classifier, (model.read_bytes() if isinstance(model, Path) else model, threads)

    def logits(self, features: Features) -> Logits:
        """Return logits float32 [n, labels] of features float32 [n, 1, frames, n_mels], one by one."""
        logits = np.empty((len(features), self.n_labels), np.float32)
        for index, row in enumerate(features):
            window = np.ascontiguousarray(row[None], np.float32)  # axengine copies its memory as it lies
            logits[index] = self.session.run(None, {self.input: window})[0][0]
        return logits


def open_encoder(path: Path) -> Classifier | None:
    """Load what hears: features to directions; None for a network that starts from nothing, an empty file.

    Raises UserError for anything else.
    """
    if not path.stat().st_size:
        return None
    try:
        return Classifier(path)
    except Exception as error:  # onnxruntime's own exceptions share no other base
        why = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be loaded ({why}); run `dvc repro -f encoder`") from error


def accuracy(logits: Logits, actual: Labels) -> float:
    """Return the share of rows whose largest logit is the actual label's."""
    return float(np.mean(logits.argmax(axis=1) == actual))


def softmax(logits: Logits) -> Logits:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Logits = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
