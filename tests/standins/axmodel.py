"""A container as Pulsar2 writes it, with the ONNX itself where the compiled code would be."""

import base64
import json

from onnx import ModelProto, TensorProto, helper


def wrap(model: ModelProto, hardware: str, npu_mode: str, version: str = "4.2") -> ModelProto:
    """Return an axmodel in the layout of two real ones."""
    names = [[value.name for value in values] for values in (model.graph.input, model.graph.output)]
    code = model.SerializeToString()
    node = helper.make_node("neu mode", *names, name="subgraph_npu_0", **described(model))
    weights = [
        helper.make_tensor(name, TensorProto.UINT8, [len(content)], content, raw=True)
        for name, content in (
            ("npu_params", code),
            ("npu_dyn_params", b""),
            ("subgraph_npu_0_b1_neu", b"code"),
        )
    ]
    values = [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights]
    graph = helper.make_graph([node], "ax-model", model.graph.input, model.graph.output, weights)
    graph.value_info.extend([*values, *model.graph.input, *model.graph.output])
    opsets = [helper.make_opsetid("", 18)]
    axmodel = helper.make_model(graph, producer_name="Pulsar2", ir_version=10, opset_imports=opsets)
    axmodel.doc_string = f"Pulsar2 Version:  {version}\nPulsar2 Commit: 751f68f9"
    helper.set_model_props(axmodel, {"extra_data": extra_data(*names, hardware, npu_mode)})
    return axmodel


def described(model: ModelProto) -> dict[str, str | int]:
    """What the node says of its code and of its outputs."""
    extra = {"name": "params", "const_data_key": "npu_params"}
    neu = {"neu_key": "subgraph_npu_0_b1_neu", "batch": 1, "extra_inputs": [extra]}
    shapes = {
        v.name: ["FP32", [d.dim_value for d in v.type.tensor_type.shape.dim]] for v in model.graph.output
    }
    info = json.dumps({"name": "subgraph_npu_0", "dotneus": [neu]})
    name = {"neu_name": "subgraph_npu_0", "version": 1}
    return name | {"npu_graph_info": info, "outputs_info": json.dumps(shapes)}


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protobuf: a number below 128, or bytes of such a length."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


def extra_data(inputs: list[str], outputs: list[str], hardware: str, npu_mode: str) -> str:
    """The metadata of an axmodel, in the layout of two real ones."""
    content = b"".join(field(1, field(1, name.encode()) + field(2, 2)) for name in inputs)
    content += b"".join(field(1, field(1, name.encode())) for name in outputs) + field(2, b"1")
    extra = field(1, b"params") + field(3, b"npu_params")
    neu = field(1, b"subgraph_npu_0_b1_neu") + field(2, 1) + field(3, extra)
    content += field(3, field(1, b"subgraph_npu_0") + field(10, neu))
    part = ("NPU1", "NPU2", "NPU3").index(npu_mode)
    content += field(4, field(3, part) if part else b"")
    return base64.b64encode(content + (field(5, 1) if hardware == "AX620E" else b"")).decode()
