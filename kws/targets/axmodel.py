"""What an axmodel says of itself: the chip and the part of its NPU that it is for, and the Pulsar2 it is of.

An axmodel is an ONNX file around the compiled code: inputs and outputs are those of the network, `doc_string`
names the compiler, and the metadata `extra_data` holds a protobuf in base64. Its schema is not published. The
fields used here were read off models that Axera's partners publish for both chips (silero-vad-axera 0.1.2).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

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
_IO, _SUBGRAPH, _MODE, _FAMILY = 1, 3, 4, 5
_NAME, _MODE_NUMBER = 1, 3

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

    Raises UserError, one line, where it is missing, cut short, damaged, or no axmodel at all.
    """
    what = what or str(path)
    if not path.is_file() or path.stat().st_size == 0:
        raise UserError(f"{what} is missing or empty; compile again, the full log says why")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise UserError(f"{what} cannot be read: cut short, or no axmodel; compile it again") from error
    nodes = [node for node in model.graph.node if node.op_type == NODE]
    if not nodes:
        raise UserError(f"{what} is no compiled model: it has no `{NODE}` node; name the .axmodel itself")
    inputs, outputs = signature(model.graph)
    extra = next((p.value for p in model.metadata_props if p.key == "extra_data"), None)
    try:
        hardware, mode = _chip(extra, {*inputs, *outputs}, nodes[0]) if extra is not None else (None, None)
    except ValueError as error:
        raise UserError(
            f"{what} has metadata that cannot be right ({error}); "
            "it is damaged, or of a Pulsar2 newer than 7.0"
        ) from error
    said = dict(re.findall(r"^Pulsar2 (Version|Commit):\s*(\S{1,40})\s*$", model.doc_string, re.MULTILINE))
    return Axmodel(hardware, mode, said.get("Version"), said.get("Commit"), inputs, outputs)


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


def _chip(extra: str, names: set[str], node: onnx.NodeProto) -> tuple[str, str]:
    """Return family and mode. Raises ValueError where the protobuf is broken or contradicts the graph."""
    try:
        content = base64.b64decode(extra, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("extra_data is no base64") from error
    found = list(_fields(content))
    listed = {_name(value) for number, value in found if number == _IO}
    if listed and listed != names:
        raise ValueError("extra_data names other inputs or outputs")
    own = next((a.s.decode("utf-8", "replace") for a in node.attribute if a.name == "neu_name"), None)
    subgraphs = [_name(value) for number, value in found if number == _SUBGRAPH]
    if own is not None and subgraphs and own not in subgraphs:
        raise ValueError("extra_data names another subgraph")
    modes = [field for number, value in found if number == _MODE for field in _fields(_bytes(value))]
    part = _last([value for number, value in modes if number == _MODE_NUMBER])
    family = _last([value for number, value in found if number == _FAMILY])
    if family >= len(HARDWARE):
        raise ValueError(f"chip family {family}, known are 0 and 1")
    if part >= len(MODES) or (HARDWARE[family] == "AX620E" and MODES[part] == "NPU3"):
        raise ValueError(f"NPU mode {part} of {HARDWARE[family]}")
    return HARDWARE[family], MODES[part]


def _name(value: int | bytes) -> str:
    names = [v for number, v in _fields(_bytes(value)) if number == _NAME]
    if not names:
        raise ValueError("extra_data has an entry without a name")
    return _bytes(names[-1]).decode("utf-8")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("extra_data has a number where a message is expected")
    return value


def _last(values: list[int | bytes]) -> int:
    """Return the last of a field's values, as protobuf does; 0 where it is not written."""
    last = values[-1] if values else 0
    if not isinstance(last, int):
        raise ValueError("extra_data has a message where a number is expected")
    return last


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protobuf message; fixed-width ones as their bytes.

    Source: the encoding page of the Protocol Buffers documentation.
    """
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("extra_data has a field of number 0")
        if kind == 0:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"extra_data has a field of type {kind}")
        if at + size > len(content):
            raise ValueError("extra_data is cut short")
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, lowest first, and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("extra_data is cut short")
        value |= (content[at] & 0x7F) << shift
        at += 1
        if content[at - 1] < 0x80:
            return value, at
    raise ValueError("extra_data has a number that is too long")
