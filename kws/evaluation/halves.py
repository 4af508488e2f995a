"""A network that starts from the encoder, cut in two: what hears, and the head that is trained."""

import onnx
from onnx import ModelProto
from onnx.utils import Extractor

HEAD = "/head/"
"""So begin the names of the head's nodes: the exporter names a node after the module that it is part of."""


def encoder_of(model: ModelProto) -> ModelProto:
    """Return the graph from features float32 [1, 1, frames, n_mels] to directions float32 [1, embedding]."""
    return _cut(model, [model.graph.input[0].name], [_directions(model)])


def head_of(model: ModelProto) -> ModelProto:
    """Return the graph from directions float32 [1, embedding] to logits float32 [1, labels]."""
    return _cut(model, [_directions(model)], [model.graph.output[0].name])


def _directions(model: ModelProto) -> str:
    """Return the name of what the head reads and does not make itself."""
    head = [node for node in model.graph.node if node.name.startswith(HEAD)]
    made = {name for node in head for name in node.output}
    weights = {weight.name for weight in model.graph.initializer}
    directions: str
    (directions,) = {name for node in head for name in node.input} - made - weights
    return directions


def _cut(model: ModelProto, inputs: list[str], outputs: list[str]) -> ModelProto:
    part: ModelProto = Extractor(model).extract_model(inputs, outputs)
    onnx.checker.check_model(part)
    return part
