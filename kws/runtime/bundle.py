"""A bundle: a folder with all that a board needs, and a manifest that says what must be in it.

A bundle runs only with a front end that gives the features its model was made for. Version numbers cannot
tell that, so the manifest's golden vector does: features of a fixed signal, computed again at every start.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kws.common.arrays import HEADER_LIMIT, array_header
from kws.common.errors import UserError
from kws.common.files import sha256
from kws.common.foreign import check_labels, parse_json, read_bytes, typed
from kws.common.types import Audio, Features
from kws.features.logmel import FrontEnd
from kws.features.streaming import FeatureStream
from kws.runtime.backends import open_session
from kws.runtime.kit import Kit, assemble, read_detector

FORMAT = 2
MANIFEST, DETECTOR, GOLDEN = "manifest.json", "detector.json", "golden.npy"
FILE_NAME = r"\w[\w.+-]{0,99}"
"""Of a file in a bundle: no folder, no drive, nothing that a file system would refuse."""
EXTERNAL = b"\n\x08location\x12"
"""What an ONNX file holds whose weights lie elsewhere: the key of the place, as protobuf writes it."""
TOLERANCE = 1e-3
"""Largest difference of a feature between two computers; those of the same code differ by rounding only."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds and where it came from."""

    format: int
    version: str
    """of the code that made it"""
    target: str
    """what the model is compiled for; `float` is the model as trained, for any CPU"""
    model: str
    """file name; its suffix says what runs it"""
    labels: list[str]
    front_end: FrontEnd
    build: dict[str, Any]
    """the target's build.json, empty for `float`"""
    files: dict[str, str]
    """SHA-256 of each other file, by its name"""


@dataclass(frozen=True)
class _Made:
    """What a manifest of any version says of itself."""

    format: int
    version: str


def probe_signal(front_end: FrontEnd) -> Audio:
    """Return a clip with all that the front end reacts to: an offset, a rising tone, noise, a faint end.

    float32 [clip_samples]. The noise comes from integer arithmetic, so every computer makes the same.
    """
    n = np.arange(front_end.clip_samples, dtype=np.uint32)
    for _ in range(3):
        n = (n ^ (n >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    noise = n.astype(np.float64) / 2**31 - 1
    t = np.linspace(0, 1, len(n))
    tone = np.sin(np.pi * front_end.sample_rate / 4 * front_end.clip_s * t**2)
    loud = np.where(t < 0.8, 1, 0.01)
    return (0.02 + loud * (0.3 * tone + 0.05 * noise)).astype(np.float32)


def golden_vector(front_end: FrontEnd) -> Features:
    """Return the features that this code gives the test signal, float32 [frames, n_mels]."""
    windows = FeatureStream(front_end, front_end.hop_ms).push(probe_signal(front_end))
    vector: Features = windows[0, 0]
    return vector


def read_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest. Raises UserError where there is none of this version in the folder itself."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder}: not a bundle: no {MANIFEST}; unpack what `kws bundle` made")
    _check_place(path)
    try:
        values = typed(dict[str, Any], parse_json(read_bytes(path)))
        made = typed(_Made, {key: values[key] for key in ("format", "version") if key in values})
    except ValueError as error:
        raise UserError(f"{path}: not a manifest ({error}); unpack the bundle again") from error
    if made.format != FORMAT:
        raise UserError(
            f"{path}: format {str(made.format)[:20]}, expected {FORMAT};"
            f" install the wheel of {made.version[:40]}"
        )
    try:
        manifest = typed(Manifest, values)
        check_labels(manifest.labels)
        for name in manifest.files:
            if not re.fullmatch(FILE_NAME, name, re.ASCII):
                raise ValueError(f"files names {name[:40]!a}, expected files of this folder")
        for name in (manifest.model, DETECTOR, GOLDEN):
            if name not in manifest.files:
                raise ValueError(f"files does not name {name[:40]!a}, so nobody knows what it must hold")
    except ValueError as error:
        raise UserError(f"{path}: not a manifest ({error}); unpack the bundle again") from error
    return manifest


def read_bundle(folder: Path) -> Kit:
    """Read a bundle and check all of it.

    Nothing is read but files that the manifest names, that lie in the folder itself, and that have the hash
    they had when packed. Raises UserError where one is missing or changed, or where this code's front end is
    not the one that the model was made for.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: missing; unpack the bundle again")
        _check_place(path)
        if sha256(path) != digest:
            raise UserError(f"{path}: changed since the bundle was made; unpack it again")
    front_end, spec = manifest.front_end, read_detector(folder / DETECTOR)
    check_front_end(front_end, read_golden(folder / GOLDEN, front_end), str(folder))
    if spec.labels != manifest.labels:
        raise UserError(f"{folder}: the detector's labels are not those of the model; make the bundle again")
    if EXTERNAL in (folder / manifest.model).read_bytes():
        raise UserError(f"{folder / manifest.model}: keeps weights in another file, which no hash covers")
    return assemble(open_session(folder / manifest.model), front_end, spec, str(folder))


def _check_place(path: Path) -> None:
    """Raise UserError for a link to a file in another folder."""
    if path.resolve().parent != path.parent.resolve():
        raise UserError(f"{path}: a link to a file elsewhere; unpack the bundle again")


def read_golden(path: Path, front_end: FrontEnd) -> Features:
    """Read a golden vector as `np.save` writes it, float32 [frames, n_mels]; raise UserError for any other.

    numpy's own reader believes a header that promises more than there is memory.
    """
    shape = (front_end.n_frames, front_end.n_mels)
    size = 4 * shape[0] * shape[1]
    content = read_bytes(path, size + HEADER_LIMIT)
    header = array_header(content)
    if not header or header[:2] != ("<f4", shape) or len(content) - header.length != size:
        raise UserError(
            f"{path}: expected a NumPy file of {shape[0]} x {shape[1]} float32; unpack the bundle again"
        )
    golden: Features = np.frombuffer(content, "<f4", offset=header.length).reshape(shape)
    return golden


def check_front_end(front_end: FrontEnd, golden: Features, source: str) -> None:
    """Raise UserError where this code's features are not the golden ones, float32 [frames, n_mels]."""
    found = golden_vector(front_end)
    same_shape = found.shape == golden.shape
    difference = float(np.abs(found - golden).max()) if same_shape else float("inf")
    if not difference <= TOLERANCE:
        raise UserError(
            f"{source}: made with another front end: features differ by {difference:.2g}, "
            f"expected {TOLERANCE:g} at most; install the wheel that lies in the bundle"
        )
