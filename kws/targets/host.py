"""This computer: ONNX Runtime static INT8 in QDQ form, calibrated with the NPU's archive."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from kws.common.files import naming
from kws.params.sections import Host
from kws.targets.calibration import read_tar
from kws.targets.graph import first_convolutions, op_counts

TOOL = f"onnxruntime {ort.__version__}"
FLOAT_ONLY = ("GRU", "ReduceMean")
"""Operators of our networks for which ONNX Runtime has no integer arithmetic."""


class _TarReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, tar: Path, name: str, shape: list[int]) -> None:
        self.samples: Iterator[dict[str, Any]] = ({name: sample} for sample in read_tar(tar, shape))

    def get_next(self) -> dict[str, Any] | None:
        return next(self.samples, None)


def compile_host(model: Path, tar: Path, host: Host) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Return the INT8 model and what stayed in float."""
    compiled = quantise(model, tar, host.calibration_method, host.float_input, host.float_ops)
    return compiled, precision(compiled)


def quantise(
    model: Path, tar: Path, method: str = "MinMax", float_input: bool = False, float_ops: Sequence[str] = ()
) -> onnx.ModelProto:
    """Return a model in INT8: signed 8-bit weights per channel, unsigned activations.

    So does Pulsar2 by default. With signed activations ONNX Runtime would compute a convolution in float
    wherever its input has a second reader, as in every residual network (seen with 1.31 on x86).
    """
    logging.getLogger().setLevel(logging.ERROR)
    only = onnx.load(model).graph.input[0]
    shape = [axis.dim_value for axis in only.type.tensor_type.shape.dim]
    with tempfile.TemporaryDirectory() as folder, naming(Path(folder)):
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        in_float = {n.name for n in graph.node if {n.op_type, n.name} & set(float_ops)}
        if float_input:
            in_float |= first_convolutions(graph)
        quantize_static(
            prepared,
            quantised,
            _TarReader(tar, only.name, shape),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
            nodes_to_exclude=sorted(in_float),
        )
        compiled = onnx.load(quantised)
    onnx.helper.set_model_props(compiled, {p.key: p.value for p in onnx.load(model).metadata_props})
    return compiled


def precision(model: onnx.ModelProto) -> dict[str, Any]:
    """Return the operators that compute in INT8 and in float.

    A node is INT8 if its data is dequantised and its result quantised.
    """
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    quantised = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    parts: dict[str, list[onnx.NodeProto]] = {"int8_ops": [], "float_ops": []}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            int8 = node.input[0] in dequantised and node.output[0] in quantised
            parts["int8_ops" if int8 and node.op_type not in FLOAT_ONLY else "float_ops"].append(node)
    return {key: op_counts(nodes) for key, nodes in parts.items()}
