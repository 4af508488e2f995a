"""A model that needs no training: a line of random weights, which hears keywords in anything that varies."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from kws.detector import DetectorSpec, Point, Rules, write_spec
from kws.features.logmel import FrontEnd

LABELS = ["SI", "NO", "FONDO"]
POINTS = [
    Point(rate, {"SI": si, "NO": no}) for rate, si, no in ((0.5, 0.9, 2.0), (1, 0.75, 0.75), (10, 0.4, 0.75))
]
SPEC = DetectorSpec(LABELS, "FONDO", 1.0, Rules(100, 300, 100, 1000, 0.7, 1000, 0.5), POINTS[1].on, POINTS)


def write_models(folder: Path, front_end: FrontEnd, spec: DetectorSpec = SPEC) -> Path:
    """Write kws.onnx and detector.json as the pipeline does, and return their folder."""
    shape = [1, 1, front_end.n_frames, front_end.n_mels]
    weights = np.random.default_rng(0).standard_normal((int(np.prod(shape)), len(spec.labels)))
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["input"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["output"]),
        ],
        "line",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, len(spec.labels)])],
        [onnx.numpy_helper.from_array(weights.astype(np.float32) / 40, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    props = {"labels": json.dumps(spec.labels), "front_end": json.dumps(asdict(front_end))}
    helper.set_model_props(model, props)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "kws.onnx")
    write_spec(folder / "detector.json", spec)
    return folder
