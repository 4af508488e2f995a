"""A container as Pulsar2 writes it, with the ONNX itself where the compiled code would be."""

import base64

from onnx import ModelProto, TensorProto, helper


def wrap(model: ModelProto, hardware: str, npu_mode: str, version: str = "4.2") -> ModelProto:
    """Return an axmodel in the layout of two real ones."""
    names = [[value.name for value in values] for values in (model.graph.input, model.graph.output)]
    code = model.SerializeToString()
    node = helper.make_node("neu mode", *names, neu_name="subgraph_npu_0")
    weights = [helper.make_tensor("npu_0_params", TensorProto.UINT8, [len(code)], code, raw=True)]
    graph = helper.make_graph([node], "npu", model.graph.input, model.graph.output, weights)
    opsets = [helper.make_opsetid("", 13)]
    axmodel = helper.make_model(graph, producer_name="Pulsar2", ir_version=7, opset_imports=opsets)
    axmodel.doc_string = f"Pulsar2 Version:  {version}\nPulsar2 Commit: 751f68f9"
    helper.set_model_props(axmodel, {"extra_data": extra_data(*names, hardware, npu_mode)})
    return axmodel


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
    content += field(3, field(1, b"subgraph_npu_0") + field(10, field(1, b"subgraph_npu_0_b1_neu")))
    part = ("NPU1", "NPU2", "NPU3").index(npu_mode)
    content += field(4, field(3, part) if part else b"")
    return base64.b64encode(content + (field(5, 1) if hardware == "AX620E" else b"")).decode()
