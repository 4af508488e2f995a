"""The table of operators that both NPUs compute."""

import pytest
from onnx import TensorProto, helper

from kws.targets.operators import SUPPORTED, unsupported


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
        ("Gemm", {"alpha": 0.5}, "Gemm: alpha is 0.5, expected 1.0"),
    ],
)
def test_others_are_named_with_what_is_wrong(op, attributes, says):
    assert unsupported(graph((op, attributes), ("Relu", {}))) == [says]


@pytest.mark.parametrize("op", ["Flatten", "Reshape", "Squeeze"])
def test_a_change_of_shape_may_not_come_last(op):
    assert unsupported(graph(("Relu", {}), (op, {}))) == [f"{op}: ends the graph"]
    assert unsupported(graph((op, {}), ("Relu", {}))) == []


@pytest.mark.parametrize("op", SUPPORTED)
def test_every_operator_of_the_table_exists_at_opset_13(op):
    unsupported(graph((op, {}), ("Relu", {})))
