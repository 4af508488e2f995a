"""Which ONNX operators Axera's NPUs compute: what the AX620E list (AX630C) and the AX650 list both name.

Source: the Pulsar2 documentation, appendix "NPU Operators support list", one page a chip, as of Pulsar2 7.0.
Only operators that networks for one clip of audio are made of are here.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto
from onnx.helper import get_attribute_value

OPSET = 13
SUPPORTED: dict[str, dict[str, Any]] = {
    "Add": {},
    "AveragePool": {"auto_pad": b"NOTSET", "count_include_pad": 1},
    "Clip": {},
    "Concat": {},
    "Constant": {},
    "Conv": {"auto_pad": b"NOTSET"},
    "Div": {},
    "Flatten": {},
    "Gather": {},
    "Gemm": {"alpha": 1.0, "beta": 1.0},
    "GlobalAveragePool": {},
    "GlobalMaxPool": {},
    "LeakyRelu": {},
    "MatMul": {},
    "MaxPool": {"auto_pad": b"NOTSET", "dilations": [1, 1], "storage_order": 0},
    "Mul": {},
    "Pad": {"mode": b"constant"},
    "ReduceL2": {},
    "ReduceMax": {},
    "ReduceMean": {},
    "Relu": {},
    "Reshape": {},
    "Sigmoid": {},
    "Slice": {},
    "Softmax": {},
    "Sub": {},
    "Tanh": {},
    "Transpose": {},
}
"""Operators at this opset, with the attributes whose values the lists limit."""
FAILING = {"Squeeze": "reported to fail (AX650, Pulsar2 6.0); use Reshape"}
"""In the lists, but third parties report that it does not compile."""
EXPLICIT = {"LeakyRelu": ("alpha",)}
"""Attributes that must be written even where they have their default: reported to fail otherwise (AX650,
Pulsar2 6.0)."""
NOT_LAST = ("Flatten", "Reshape")
"""In the lists, but third parties report that they fail at the end of a graph (AX650, Pulsar2 6.0)."""


def unsupported(model: ModelProto) -> list[str]:
    """Return what the lists do not cover, one line each; empty where every operator is covered."""
    constants = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    problems = {problem for node in model.graph.node for problem in _problems(node, constants)}
    last = model.graph.node[-1].op_type
    if last in NOT_LAST:
        problems.add(f"{last}: ends the graph")
    return sorted(problems)


def _problems(node: NodeProto, constants: dict[str, NDArray[Any]]) -> list[str]:
    if node.op_type in FAILING:
        return [f"{node.op_type}: {FAILING[node.op_type]}"]
    if node.op_type not in SUPPORTED:
        return [f"{node.op_type}: not in the lists"]
    factors = [constants[name] for name in node.input if name in constants]
    if node.op_type in ("Mul", "Div") and any(np.all(factor == 1) for factor in factors):
        return [f"{node.op_type}: by 1"]
    if node.op_type == "Gather" and constants.get(node.input[1], np.zeros(())).ndim != 1:
        return ["Gather: indices are not one-dimensional constants"]
    if missing := [n for n in EXPLICIT.get(node.op_type, ()) if n not in {a.name for a in node.attribute}]:
        return [f"{node.op_type}: {name} is not written" for name in missing]
    given = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    return [
        f"{node.op_type}: {name} is {value}, expected {limit}"
        for name, limit in SUPPORTED[node.op_type].items()
        if (value := given.get(name, _default(node.op_type, name))) not in (None, limit)
    ]


def _default(op_type: str, name: str) -> Any:
    """Return the value of an attribute that is not given; None where it follows from the shapes."""
    default = onnx.defs.get_schema(op_type, OPSET).attributes[name].default_value
    return get_attribute_value(default) if default.type else None
