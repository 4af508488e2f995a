"""Which layers of a network leave an NPU's 8 bits: what Pulsar2 is asked for, and what it did of it.

Source: the Pulsar2 documentation, "Detailed explanation of mixed precision quantization". Conv computes in
8 or 16 bits, and floats are verified for few operators, among which is nothing that follows an embedding but
Add, Div and Concat; so precision is bought with 16 bits. Names of operators are those of the ONNX: Pulsar2
fuses some, calls the result `op_<n>:<name>`, and passes over a name that is gone without a word.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnx import GraphProto

from kws.common.errors import UserError
from kws.common.foreign import parse_json, read_bytes
from kws.targets.graph import first_layers, last_layers

REPORT = "quant/quant_axmodel.json"
"""Below a build's output: the bits of each tensor of each operator, `{operator: {tensor: {bit_width}}}`."""
ALL = ["DEFAULT"]
"""The whole graph, as a range of tensors."""
BITS = {"U16": 16, "FP32": 32}

Layers = list[dict[str, Any]]
"""`quant.layer_configs` of a build."""


def _edges(graph: GraphProto) -> list[str]:
    return list(dict.fromkeys([*first_layers(graph), *last_layers(graph)]))


PRECISIONS: dict[str, Callable[[GraphProto], Layers]] = {
    "int8": lambda graph: [],
    "input_u16": lambda graph: [{"layer_names": first_layers(graph), "data_type": "U16"}],
    "edges_u16": lambda graph: [{"layer_names": _edges(graph), "data_type": "U16"}],
    "u16": lambda graph: [{"start_tensor_names": ALL, "end_tensor_names": ALL, "data_type": "U16"}],
    "gru_fp32": lambda graph: [{"op_type": "GRU", "data_type": "FP32"}],
}
"""What each `precision` asks for."""


def layers_of(key: str, precision: str, graph: GraphProto) -> Layers:
    """Return what a precision asks for, of this graph; UserError about `key` where it has nothing of it."""
    if precision == "gru_fp32" and not any(node.op_type == "GRU" for node in graph.node):
        raise UserError(f"{key}: {precision}, but the network has no GRU; choose another one")
    return PRECISIONS[precision](graph)


def unhonoured(asked: Layers, graph: GraphProto, output: Path) -> list[str] | None:
    """Return the layers that a build left at fewer bits than was asked, as `name: what it did`.

    None where the build's report is missing or is none, so that nothing is known. A layer whose name is gone
    counts as passed over: Pulsar2 fused it into another one under another name.
    """
    try:
        report = parse_json(read_bytes(output / REPORT, 2**28))
        built: dict[str, int] = {}
        for name, tensors in report.items():  # an operator may be cut into several: the worst counts
            own, bits = _own_name(name), _bits(tensors)
            built[own] = min(bits, built.get(own, bits))
    except (OSError, ValueError, AttributeError, UserError):
        return None
    wanted = {name: BITS[layer["data_type"]] for layer in asked for name in _named(layer, graph, built)}
    return [
        f"{name}: " + (f"{built[name]} bits" if name in built else "no layer of this name")
        for name, bits in wanted.items()
        if built.get(name, 0) < bits
    ]


def _named(layer: dict[str, Any], graph: GraphProto, built: dict[str, int]) -> list[str]:
    """Return the operators that an entry is about; of the whole graph, those that the build has kept."""
    if "layer_names" in layer:
        return list(layer["layer_names"])
    if "op_type" in layer:
        return [node.name for node in graph.node if node.op_type == layer["op_type"]]
    return list(built)


def _own_name(name: str) -> str:
    return re.sub(r"^op_\d+:", "", name)


def _bits(tensors: dict[str, Any]) -> int:
    """Return the most bits of an operator's tensors: weights stay at 8 where what flows has 16."""
    widths = [BITS.get(t.get("state"), t.get("bit_width", 0)) for t in tensors.values()]
    if not all(type(width) is int for width in widths):
        raise ValueError("a bit width is no whole number")
    return max(widths, default=0)
