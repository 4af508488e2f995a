"""The table of operators that both NPUs compute."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from kws.targets.graph import first_layers, last_layers
from kws.targets.operators import FAILING, OPSET, SUPPORTED, unsupported


def graph(*nodes):
    """A chain of nodes, each `(operator, attributes)`."""
    made = [helper.make_node(op, [f"t{i}"], [f"t{i + 1}"], **attrs) for i, (op, attrs) in enumerate(nodes)]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("t0", f"t{len(nodes)}")]
    return helper.make_model(helper.make_graph(made, "chain", ends[:1], ends[1:]))


def test_covered_operators_are_no_problem():
    chain = graph(("Conv", {"pads": [1, 1, 1, 1], "dilations": [2, 1]}), ("Reshape", {}), ("Relu", {}))
    assert unsupported(chain) == []


@pytest.mark.parametrize(
    ("op", "attributes", "says"),
    [
        ("GRU", {}, "GRU: not in the lists"),
        ("Conv", {"auto_pad": "SAME_UPPER"}, "Conv: auto_pad is b'SAME_UPPER', expected b'NOTSET'"),
        (
            "MaxPool",
            {"kernel_shape": [2, 2], "dilations": [2, 2]},
            "MaxPool: dilations is [2, 2], expected [1, 1]",
        ),
        ("AveragePool", {"kernel_shape": [2, 2]}, "AveragePool: count_include_pad is 0, expected 1"),
        ("LeakyRelu", {}, "LeakyRelu: alpha is not written"),
        ("Squeeze", {}, "Squeeze: reported to fail (AX650, Pulsar2 6.0); use Reshape"),
        ("Gemm", {"alpha": 0.5}, "Gemm: alpha is 0.5, expected 1.0"),
    ],
)
def test_others_are_named_with_what_is_wrong(op, attributes, says):
    assert unsupported(graph((op, attributes), ("Relu", {}))) == [says]


@pytest.mark.parametrize("op", ["Flatten", "Reshape"])
def test_a_change_of_shape_may_not_come_last(op):
    assert unsupported(graph(("Relu", {}), (op, {}))) == [f"{op}: ends the graph"]
    assert unsupported(graph((op, {}), ("Relu", {}))) == []


@pytest.mark.parametrize("op", sorted({*SUPPORTED, *FAILING}))
def test_every_operator_of_the_table_exists_at_opset_13(op):
    assert onnx.defs.get_schema(op, OPSET).name == op


@pytest.mark.parametrize(
    ("op", "constant", "says"),
    [
        ("Mul", np.float32([1, 1]), ["Mul: by 1"]),
        ("Div", np.float32(1), ["Div: by 1"]),
        ("Mul", np.float32([1, 2]), []),
        ("Gather", np.int64(3), ["Gather: indices are not one-dimensional constants"]),
        ("Gather", np.int64([[3]]), ["Gather: indices are not one-dimensional constants"]),
        ("Gather", np.int64([3]), []),
    ],
)
def test_constants_have_limits_too(op, constant, says):
    model = graph((op, {}), ("Relu", {}))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(constant), "c"))
    model.graph.node[0].input.append("c")
    assert unsupported(model) == says


def test_the_edges_of_a_network_are_what_computes_before_and_after_its_convolutions():
    chain = ("Reshape", "Gemm", "Conv", "Relu", "Conv", "Relu", "ReduceMean", "Reshape", "Gemm")
    model = graph(*((op, {}) for op in chain))
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}{index}"
    assert first_layers(model.graph) == ["Gemm1", "Conv2"]
    assert last_layers(model.graph) == ["ReduceMean6", "Gemm8"]
