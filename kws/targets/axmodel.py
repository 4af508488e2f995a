"""What an axmodel says of itself: the chip and the part of its NPU that it is for, and the Pulsar2 it is of.

An axmodel is an ONNX file around the compiled code: inputs and outputs are those of the network, `doc_string`
names the compiler, and the metadata `extra_data` holds a protobuf in base64. Its schema is not published. The
fields used here were read off models that Axera's partners publish for both chips (silero-vad-axera 0.1.2).

Of files of that Pulsar2 whatever contradicts itself is refused, and whatever is only otherwise than in those
two is warned about. Other versions may write otherwise: of theirs only what cannot be read, or names a chip,
part of the NPU, inputs or outputs that there are not, is refused, and contradictions are warned about.

What cannot be detected, for no checksum is kept: a change within the compiled code and its weights, and one
that makes of the version or the commit of Pulsar2 another that could be.
"""

import base64
import binascii
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from kws.common.errors import UserError

NODE = "neu mode"
"""The operator that stands for the compiled code."""
HARDWARE = ("AX650", "AX620E")
"""The family of chips, by its number in the metadata; 0 is not written."""
MODES = ("NPU1", "NPU2", "NPU3")
"""The part of the NPU, likewise."""
CHIPS = {"AX620E": ("AX620", "AX630"), "AX650": ("AX650", "AX8850")}
"""How the chips of a family name themselves."""
TARGETS = {"ax630c": "AX620E", "ax650n": "AX650"}
"""The family of each target of this project."""
ENGINES = {"2.6.3sp": (4, 2)}
"""Engines on boards, and the newest Pulsar2 whose models each is known to load."""
EXTRA = "extra_data"
"""The key of the metadata."""
SEEN = "7.0"
"""The Pulsar2 of the files that were seen; others may write more, or otherwise."""
_LAYOUT: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Metadata": {
        "tensor": (1, "Tensor", True),
        "version": (2, "STRING", False),
        "subgraph": (3, "Subgraph", True),
        "part": (4, "Part", False),
        "family": (5, "UINT32", False),
    },
    "Tensor": {"name": (1, "STRING", False), "kind": (2, "UINT32", False)},
    "Subgraph": {"name": (1, "STRING", False), "neu": (10, "Neu", True)},
    "Neu": {"key": (1, "STRING", False), "batch": (2, "UINT32", False), "extra": (3, "Extra", True)},
    "Extra": {"name": (1, "STRING", False), "data": (3, "STRING", False)},
    "Part": {"mode": (3, "UINT32", False)},
}
"""Number, type and whether it may be there several times, of each field by message."""
_INPUT, _VERSION = 2, "1"
_ABOUT = ("Pulsar2", 10, "ax-model", [18])
_FLOAT = onnx.TensorProto.FLOAT
_TEXT, _NUMBER = onnx.AttributeProto.STRING, onnx.AttributeProto.INT
_ATTRIBUTES = dict.fromkeys(("neu_name", "npu_graph_info", "outputs_info"), (_TEXT, 0))
_ATTRIBUTES |= {"version": (_NUMBER, 1)}
_SAID = re.compile(r"Pulsar2 Version:  \d\S{0,39}\nPulsar2 Commit: [0-9a-f]{8}")

Signature = dict[str, tuple[int, list[int]]]


@dataclass(frozen=True)
class Axmodel:
    """One compiled model; None for what the file does not say."""

    hardware: str | None
    npu_mode: str | None
    pulsar2: str | None
    commit: str | None
    inputs: Signature
    """Element type and shape, by name."""
    outputs: Signature

    @property
    def facts(self) -> dict[str, str | None]:
        """Return what build.json keeps of it."""
        return {"hardware": self.hardware, "npu_mode": self.npu_mode, "pulsar2": self.pulsar2}

    def __str__(self) -> str:
        """Return chip, part of the NPU, and compiler, in a line."""
        chips = " or ".join(CHIPS[self.hardware]) if self.hardware else "an unknown chip"
        family = f" ({self.hardware})" if self.hardware else ""
        return f"for {chips}{family}, {self.npu_mode or 'no known mode'}, by Pulsar2 {self.pulsar2 or '?'}"


def signature(graph: onnx.GraphProto) -> tuple[Signature, Signature]:
    """Return the element type and shape of each input and of each output, by name."""
    weights = {weight.name for weight in graph.initializer}

    def read(values: list[onnx.ValueInfoProto]) -> Signature:
        types = {v.name: v.type.tensor_type for v in values if v.name not in weights}
        return {n: (t.elem_type, [d.dim_value for d in t.shape.dim]) for n, t in types.items()}

    return read(list(graph.input)), read(list(graph.output))


def read_axmodel(path: Path, what: str | None = None) -> Axmodel:
    """Return what a file says of itself; `what` names it in errors, otherwise its path does.

    Raises UserError, one line, where it is missing, cut short, damaged, or no axmodel at all; warns, in one
    line, where it is not as the files that were seen.
    """
    what = what or str(path)
    if not path.is_file() or path.stat().st_size == 0:
        raise UserError(f"{what} is missing or empty; compile again, the full log says why")
    try:
        model = onnx.load(path, load_external_data=False)
        unknown = _has_unknown(model)
    except (DecodeError, ValueError, OSError) as error:
        raise UserError(f"{what} cannot be read: cut short, or no axmodel; compile it again") from error
    nodes = [node for node in model.graph.node if node.op_type == NODE]
    if not nodes:
        raise UserError(f"{what} is no compiled model: it has no `{NODE}` node; name the .axmodel itself")
    said = dict(re.findall(r"^Pulsar2 (Version|Commit):\s*(\S{1,40})\s*$", model.doc_string, re.MULTILINE))
    version, commit = said.get("Version"), said.get("Commit")
    inputs, outputs = signature(model.graph)
    extra = next((p.value for p in model.metadata_props if p.key == EXTRA), None)
    hardware = mode = None
    strange = ["it has fields that ONNX does not have"] * unknown + _strange(model, nodes[0])
    try:
        wrong = _contradictions(model.graph, nodes[0])
        if extra is not None:
            found = _metadata(extra)
            hardware, mode = _chip(found, {*inputs, *outputs})
            wrong += _contradictions_of_code(found, model.graph, nodes[0])
            strange += _strange_metadata(found, inputs, outputs)
            if not strange and found.SerializeToString(deterministic=True) != base64.b64decode(extra):
                wrong.append(f"{EXTRA} is not as a compiler writes it")
        if wrong and version == SEEN:
            raise ValueError(wrong[0])
    except ValueError as error:
        raise UserError(
            f"{what} has metadata that cannot be right ({error}); "
            f"it is damaged, or of a Pulsar2 newer than {SEEN}"
        ) from error
    if odd := wrong or (strange if version in (SEEN, None) else []):
        warnings.warn(f"{what}: {odd[0]}; it may be damaged, or of another Pulsar2 than {SEEN}", stacklevel=2)
    return Axmodel(hardware, mode, version, commit, inputs, outputs)


def wrong_chip(model: Axmodel, hardware: str, mode: str | None = None) -> str | None:
    """Return how a model differs from one for this family and mode, or None; what is not known fits."""
    expected = hardware + (f" in mode {mode}" if mode else "")
    if model.hardware and (model.hardware != hardware or (mode and model.npu_mode != mode)):
        return f"is for {model.hardware} in mode {model.npu_mode}, expected {expected}"
    return None


def too_new(model: Axmodel, engine: str) -> str | None:
    """Return why a board's engine will not load a model, or None where it does or where it is not known."""
    newest, version = ENGINES.get(engine), _numbers(model.pulsar2)
    if newest is None or version is None or version <= newest:
        return None
    return (
        f"is of Pulsar2 {model.pulsar2}, but the board's engine {engine} loads models of "
        f"{'.'.join(map(str, newest))} at most; compile with that one, or renew the board's BSP"
    )


def _numbers(version: str | None) -> tuple[int, ...] | None:
    found = re.match(r"(\d{1,4})\.(\d{1,4})", version or "")
    return tuple(map(int, found.groups())) if found else None


def _metadata_type() -> type[Message]:
    """Return the class of the protobuf in `extra_data`, as two files show it, with names of our own."""
    file = descriptor_pb2.FileDescriptorProto(name="kws/axmodel.proto", package="kws", syntax="proto3")
    for name, fields in _LAYOUT.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = "LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"
            added = message.field.add(name=field, number=number, label=label)
            if kind in _LAYOUT:
                added.type_name = f".kws.{kind}"
            else:
                added.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName("kws.Metadata"))
    return found


_METADATA = _metadata_type()


def _metadata(extra: str) -> Any:
    """Return the message in `extra_data`; raise ValueError where it is none."""
    try:
        content = base64.b64decode(extra, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{EXTRA} is no base64") from error
    if base64.b64encode(content).decode("ascii") != extra:
        raise ValueError(f"{EXTRA} ends in bits that base64 does not have")
    try:
        return _METADATA.FromString(content)
    except DecodeError as error:
        raise ValueError(f"{EXTRA} is cut short, or no protobuf of this layout") from error


def _chip(found: Any, names: set[str]) -> tuple[str, str]:
    """Return family and mode; raise ValueError where there are no such, or where other tensors are named."""
    listed = [tensor.name for tensor in found.tensor]
    if listed and sorted(listed) != sorted(names):
        raise ValueError(f"{EXTRA} names other inputs or outputs")
    if found.family >= len(HARDWARE):
        raise ValueError(f"chip family {found.family}, known are 0 and 1")
    hardware, part = HARDWARE[found.family], found.part.mode
    if part >= len(MODES) or (hardware == "AX620E" and MODES[part] == "NPU3"):
        raise ValueError(f"NPU mode {part} of {hardware}")
    return hardware, MODES[part]


def _contradictions(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[str]:
    """Return where the node of the compiled code and the graph do not agree."""
    said, (inputs, outputs) = {a.name: a.s for a in node.attribute}, signature(graph)
    shapes = {name: ["FP32", shape] for name, (kind, shape) in outputs.items() if kind == _FLOAT}
    wrong = []
    if {*node.input} != {*inputs} or {*node.output} != {*outputs}:
        wrong.append("the compiled code has other inputs or outputs than the graph")
    if "outputs_info" in said and len(shapes) == len(outputs) and _parsed(said["outputs_info"]) != shapes:
        wrong.append("outputs_info and the outputs contradict each other")
    tensors = {w.name: (w.data_type, list(w.dims)) for w in graph.initializer}
    listed = {v.name: v.type.tensor_type for v in graph.value_info}
    values = {n: (t.elem_type, [d.dim_value for d in t.shape.dim]) for n, t in listed.items()}
    if values and values != inputs | outputs | tensors:
        wrong.append("the list of tensors is another than the tensors")
    return wrong


def _contradictions_of_code(found: Any, graph: onnx.GraphProto, node: onnx.NodeProto) -> list[str]:
    """Return where the metadata name other code than the node does, or code that is not there."""
    said = {a.name: a.s for a in node.attribute}
    own = said.get("neu_name", b"").decode("utf-8", "replace")
    neus = [neu for subgraph in found.subgraph if subgraph.name == own for neu in subgraph.neu]
    parts = [
        {
            "neu_key": neu.key,
            "batch": neu.batch,
            "extra_inputs": [{"name": e.name, "const_data_key": e.data} for e in neu.extra],
        }
        for neu in neus
    ]
    wrong = []
    if own and own not in [subgraph.name for subgraph in found.subgraph]:
        wrong.append(f"{EXTRA} names another subgraph")
    if not {*(n.key for n in neus), *(e.data for n in neus for e in n.extra)} <= {
        weight.name for weight in graph.initializer
    }:
        wrong.append(f"{EXTRA} names code that the file does not hold")
    if "npu_graph_info" in said and _parsed(said["npu_graph_info"]) != {"name": own, "dotneus": parts}:
        wrong.append(f"{EXTRA} and npu_graph_info contradict each other")
    return wrong


def _strange(model: onnx.ModelProto, node: onnx.NodeProto) -> list[str]:
    """Return what around the metadata is not as in the files that were seen."""
    attributes = {a.name: (a.type, a.i) for a in node.attribute}
    about = (model.producer_name, model.ir_version, model.graph.name, [o.version for o in model.opset_import])
    said = next((a.s for a in node.attribute if a.name == "neu_name"), b"")
    checks = {
        "it does not name its Pulsar2 as others do": _SAID.fullmatch(model.doc_string) is None,
        f"it has other metadata than {EXTRA}": [p.key for p in model.metadata_props] != [EXTRA],
        "its producer, versions of ONNX or name are others": about != _ABOUT,
        "its compiled code is described by other attributes": attributes != _ATTRIBUTES,
        "its compiled code has two names": node.name.encode() != said,
    }
    return [text for text, holds in checks.items() if holds]


def _strange_metadata(found: Any, inputs: Signature, outputs: Signature) -> list[str]:
    """Return what in the metadata is not as in the files that were seen."""
    kinds = {tensor.name: tensor.kind for tensor in found.tensor}
    checks = {
        f"{EXTRA} has fields that are not known": _has_unknown(found),
        f"{EXTRA} marks inputs and outputs in another way": kinds
        != dict.fromkeys(inputs, _INPUT) | dict.fromkeys(outputs, 0),
        f"{EXTRA} has another version": found.version != _VERSION,
    }
    return [text for text, holds in checks.items() if holds]


def _parsed(text: bytes) -> Any:
    """Return what JSON holds, or None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _has_unknown(message: Message) -> bool:
    """Return whether a message, or one within it, holds fields that its type does not have.

    Raises ValueError where a text is no UTF-8.
    """
    unknown = len(UnknownFieldSet(message)) > 0
    for field, value in message.ListFields():
        values = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]
        if field.type == field.TYPE_STRING and any(isinstance(text, bytes) for text in values):
            raise ValueError(f"{field.name} is no text")
        if field.message_type is not None:
            for each in values:
                unknown |= _has_unknown(each)
    return unknown
