"""From the trained network to one static ONNX graph, simplified and checked against torch."""

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxsim
import torch
from onnx import ModelProto

from kws.common.errors import UserError
from kws.common.types import Features
from kws.runtime.inference import Classifier
from kws.training.checkpoint import Checkpoint

INPUT, OUTPUT, OPSET = "input", "output", 13
TOLERANCE = 1e-4
"""Largest difference of a logit between torch and ONNX."""


def to_onnx(checkpoint: Checkpoint) -> ModelProto:
    """Return the graph: `input` float32 [1, 1, frames, n_mels] to `output` float32 [1, labels], opset 13.

    The tracing exporter is used, because it writes a GRU as one ONNX node at this opset.
    """
    front_end = checkpoint.front_end
    example = torch.zeros(1, 1, front_end.n_frames, front_end.n_mels)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder) / "exported.onnx"
        torch.onnx.export(
            checkpoint.network(),
            (example,),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=False,
        )
        exported = onnx.load(path)
    simplified: ModelProto
    simplified, same = onnxsim.simplify(exported)
    if not same:
        raise UserError(
            "models/kws.onnx: the simplified graph differs from the exported one; please report this"
        )
    onnx.helper.set_model_props(
        simplified,
        {"labels": json.dumps(checkpoint.labels), "front_end": json.dumps(asdict(front_end), sort_keys=True)},
    )
    onnx.checker.check_model(simplified, full_check=True)
    return simplified


def max_abs_diff(checkpoint: Checkpoint, model: ModelProto, inputs: Features) -> float:
    """Return the largest difference of a logit between torch and ONNX over inputs [n, 1, frames, n_mels].

    Raises UserError where it exceeds the tolerance: such a graph must not be compiled.
    """
    with torch.inference_mode():
        expected = checkpoint.network()(torch.from_numpy(inputs)).numpy()
    diff = float(np.abs(Classifier(model.SerializeToString()).logits(inputs) - expected).max())
    if diff > TOLERANCE:
        raise UserError(
            f"models/kws.onnx: logits differ from torch by {diff:.2g}, expected {TOLERANCE:g} at most"
        )
    return diff
