"""What is asked of an NPU beside 8 bits, and whether a build did it."""

import json
import re

import onnx
import pytest

from axera import read, stage
from conftest import ROOT
from kws.common.errors import UserError
from kws.models import build_model
from kws.params.compose import compose
from kws.params.whole import load_params
from kws.targets.export import to_onnx
from kws.targets.precision import BITS, PRECISIONS, REPORT, layers_of, unhonoured
from kws.training.checkpoint import Checkpoint
from standins.install import install

DOCUMENTED = {
    "layer_name": str, "layer_names": list, "op_type": str, "op_types": list,
    "start_tensor_names": list, "end_tensor_names": list,
    "data_type": ("U8", "U16", "FP32"),
}  # fmt: skip
"""Fields of `quant.layer_configs` and what they may hold: Pulsar2's documentation, "Detailed explanation of
mixed precision quantization"."""
FLOATS = {"LeakyRelu", "Sigmoid", "Relu", "Add", "Mul", "Div", "Sub", "Concat", "Softmax", "GRU"}
"""Operators whose FP32 that page calls verified, and GRU, which H-GTCRN.AXERA has run in FP32 on an AX650."""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The default network and one with a GRU."""
    found = {}
    for name in ("encoder", "crnn"):
        out = tmp_path_factory.mktemp(name) / "params.yaml"
        compose(ROOT / "conf", out, [] if name == "encoder" else [f"model={name}", "train=scratch"])
        params = load_params(out)
        front_end = params.features
        network = build_model(params.model, front_end.n_frames, front_end.n_mels, len(params.labels))
        found[name] = to_onnx(Checkpoint(network.state_dict(), params.labels, params.model, front_end)).graph
    return found


@pytest.mark.parametrize("network", ["encoder", "crnn"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_all_that_is_asked_for_is_documented_and_names_what_there_is(graphs, network, precision):
    graph = graphs[network]
    if (network, precision) == ("encoder", "gru_fp32"):
        with pytest.raises(UserError, match=r"target\.x\.precision: gru_fp32, but the network has no GRU"):
            layers_of("target.x.precision", precision, graph)
        return
    types = {node.name: node.op_type for node in graph.node}
    for layer in layers_of("target.x.precision", precision, graph):
        for field, value in layer.items():
            allowed = DOCUMENTED[field]
            assert value in allowed if isinstance(allowed, tuple) else isinstance(value, allowed)
        of = [types[name] for name in layer.get("layer_names", ())] + [layer.get("op_type", "GRU")]
        assert layer["data_type"] != "FP32" or set(of) <= FLOATS


def test_the_edges_are_the_first_convolutions_and_what_follows_the_embedding(graphs):
    graph = graphs["encoder"]
    (first,), (both,) = (layers_of("", precision, graph) for precision in ("input_u16", "edges_u16"))
    types = {node.name: node.op_type for node in graph.node}
    assert [types[name] for name in first["layer_names"]] == ["Conv", "Gemm", "Conv"]
    added = [types[name] for name in both["layer_names"] if name not in first["layer_names"]]
    assert {"Add", "ReduceL2", "Div", "MatMul", "ReduceMax", "Concat"} <= set(added)
    assert "Conv" not in added


def report(folder, operators):
    (folder / REPORT).parent.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(operators if isinstance(operators, str) else json.dumps(operators))
    return folder


U8, U16 = ({"t": {"bit_width": bits, "state": "ACTIVATED"}} for bits in (8, 16))
FP32 = {"t": {"bit_width": 8, "state": "FP32"}}


@pytest.mark.parametrize(
    ("operators", "left"),
    [
        ({"a": U16, "b": U16, "c": U8}, []),
        ({"op_3:a": U16, "op_7:b": U8}, ["b: 8 bits"]),
        ({"op_3": U16, "b": U16}, ["a: no layer of this name"]),
        ({"op_1:a": U8, "op_2:a": U16, "b": U16}, ["a: 8 bits"]),
        ({"a": {"w": U8["t"], **U16}, "b": {}}, ["b: 0 bits"]),
        ("{", None),
        ("[]", None),
        ({"a": 1}, None),
        ({"a": {"t": {"bit_width": "16"}}}, None),
    ],
)
def test_what_a_build_left_in_8_bits_is_found_by_its_report(tmp_path, operators, left):
    asked = [{"layer_names": ["a", "b"], "data_type": "U16"}]
    assert unhonoured(asked, onnx.GraphProto(), report(tmp_path, operators)) == left


def test_a_whole_graph_and_a_type_of_operator_are_looked_up_too(tmp_path):
    whole = [{"start_tensor_names": ["DEFAULT"], "end_tensor_names": ["DEFAULT"], "data_type": "U16"}]
    assert unhonoured(whole, onnx.GraphProto(), report(tmp_path, {"a": U16, "b": U8})) == ["b: 8 bits"]
    graph = onnx.GraphProto(node=[onnx.NodeProto(name=t[0].lower(), op_type=t) for t in ("GRU", "Conv")])
    gru = [{"op_type": "GRU", "data_type": "FP32"}]
    assert BITS["FP32"] > BITS["U16"]
    assert unhonoured(gru, graph, report(tmp_path, {"op_1:g": FP32, "c": U8})) == []
    assert unhonoured(gru, graph, report(tmp_path, {"op_1:g": U16})) == ["g: 16 bits"]
    assert unhonoured(gru, graph, tmp_path / "absent") is None


@pytest.mark.parametrize("precision", ["input_u16", "edges_u16", "u16"])
@pytest.mark.parametrize(
    ("mode", "warned"),
    [
        ("well", None),
        ("ignored", r"was not honoured for .*: 8 bits; see build\.json"),
        ("fused", r"was not honoured for .*: no layer of this name; see build\.json"),
        ("no_report", r"may not be honoured: Pulsar2 4\.2 751f68f9 left no quant/quant_axmodel\.json"),
    ],
)
def test_a_build_says_what_it_did_not_honour(project, capsys, precision, mode, warned):
    docker = install(project / "standins", "docker")
    docker.go_wrong(mode)
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("precision: int8", f"precision: {precision}"))
    assert stage("compile", "ax630c") is None
    left, said = read("models/ax630c/build.json")["not_honoured"], capsys.readouterr().err
    if mode == "no_report" or (mode != "well" and precision != "u16"):
        assert re.search(rf"warning: target\.ax630c: precision {precision} {warned}", said)
        assert left is None or left
    else:
        assert "honoured" not in said
        assert left == []


def test_nothing_asked_is_nothing_to_compare(project):
    install(project / "standins", "docker")
    assert stage("compile", "ax630c") is None
    assert "not_honoured" not in read("models/ax630c/build.json")
