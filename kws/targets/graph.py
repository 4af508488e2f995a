"""What an ONNX graph costs: operators, parameters and multiply-accumulates (MACs)."""

from collections import Counter
from collections.abc import Iterable
from math import prod

import onnx
from onnx import GraphProto, ModelProto, NodeProto, shape_inference

_FOLLOWING = ("Clip", "Constant", "Flatten", "LeakyRelu", "Relu", "Reshape", "Slice", "Transpose")
"""Operators that a compiler merges with the one before them, or that change no number."""


def op_counts(nodes: Iterable[NodeProto]) -> dict[str, int]:
    """Return how often each operator occurs, by name."""
    return dict(sorted(Counter(node.op_type for node in nodes).items()))


def first_convolutions(graph: GraphProto) -> set[str]:
    """Return the names of the Conv nodes that no other one comes before."""
    found, reached = set(), {graph.input[0].name}
    for node in graph.node:  # sorted: each comes after those that it reads
        if reached & set(node.input):
            if node.op_type == "Conv":
                found.add(node.name)
            else:
                reached |= set(node.output)
    return found


def first_layers(graph: GraphProto) -> list[str]:
    """Return the names of the first convolutions and of what computes anything before them, in order."""
    convolutions = first_convolutions(graph)
    read: set[str] = set()
    found = []
    for node in reversed(graph.node):
        if node.name in convolutions or read & set(node.output):
            read |= set(node.input)
            found.append(node)
    return [node.name for node in reversed(found) if node.op_type not in _FOLLOWING]


def last_layers(graph: GraphProto) -> list[str]:
    """Return the names of what computes anything after the last convolutions and GRUs, in order."""
    before: set[str] = set()
    found = []
    for node in reversed(graph.node):
        if node.op_type in ("Conv", "GRU") or before & set(node.output):
            before |= set(node.input)
        else:
            found.append(node)
    return [node.name for node in reversed(found) if node.op_type not in _FOLLOWING]


def n_params(model: ModelProto) -> int:
    """Return the number of floating-point weights."""
    return sum(prod(w.dims) for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT)


def macs(model: ModelProto) -> int:
    """Return the multiply-accumulates of one inference in Conv, GRU, Gemm and MatMul nodes."""
    inferred = shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    shapes |= {w.name: list(w.dims) for w in inferred.initializer}
    return sum(_node_macs(node, shapes) for node in inferred.node)


def _node_macs(node: NodeProto, shapes: dict[str, list[int]]) -> int:
    match node.op_type:
        case "Conv":
            return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
        case "GRU":
            steps, batch, _ = shapes[node.input[0]]
            return steps * batch * (prod(shapes[node.input[1]]) + prod(shapes[node.input[2]]))
        case "Gemm" | "MatMul":
            return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]]) // shapes[node.output[0]][-1]
        case _:
            return 0
