"""The calibration archive: training clips, the same number of each label, as a tar of .npy files."""

import io
import math
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kws.common.arrays import HEADER_LIMIT, array_header
from kws.common.errors import UserError
from kws.common.seeding import rng
from kws.common.types import Features, Indices, Labels


def stratified(labels: Labels, size: int, seed: int) -> Indices:
    """Return `size` distinct positions, sorted, with labels as even in number as their clips allow.

    Raises UserError where there are fewer clips than asked for.
    """
    if size > len(labels):
        raise UserError(f"calib.samples is {size}, but there are only {len(labels)} training clips; lower it")
    order = rng(seed, "calibration", 0).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        turn[mine] = np.arange(len(mine))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:size])


def write_tar(path: Path, samples: Features) -> None:
    """Write [n, 1, frames, n_mels] as flat `input_00000.npy`…, each float32 [1, 1, frames, n_mels].

    Time, owner and order are fixed, so the same samples give the same bytes.
    """
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index, sample in enumerate(samples):
            _add(tar, f"input_{index:05d}.npy", _npy(np.ascontiguousarray(sample[None], dtype="<f4")))


def read_tar(path: Path, shape: Sequence[int]) -> Iterator[Features]:
    """Yield the samples of an archive in order: float32 of the shape that the model takes.

    Raises UserError for whatever `write_tar` would not have written for such a model.
    """
    for member in _members(path, HEADER_LIMIT + 4 * math.prod(shape)):
        yield _sample(path, member, tuple(shape))


def _members(path: Path, limit: int) -> list[tuple[str, bytes]]:
    """Return the names and contents of an archive's files, none larger than `limit` bytes, sorted by name."""
    try:
        with tarfile.open(path, "r:") as tar:
            members = sorted(tar.getmembers(), key=lambda m: m.name)
            for member in members:
                if member.type != tarfile.REGTYPE or member.size > limit:
                    raise _not_ours(path, f"{member.name!r} is no plain file of a sample's size")
            files = [(member.name, tar.extractfile(member)) for member in members]
            contents = [(name, file.read()) for name, file in files if file]
    except (tarfile.TarError, OSError, ValueError) as error:
        raise _not_ours(path, str(error)) from error
    if not contents:
        raise _not_ours(path, "it is empty")
    if len({name for name, _ in contents}) < len(contents):
        raise _not_ours(path, "it holds one name twice")
    end = max(member.offset_data + member.size for member in members)
    if path.stat().st_size < end + 2 * tarfile.BLOCKSIZE:  # cut between members it looks like a shorter one
        raise _not_ours(path, "it is cut off")
    return contents


def _sample(path: Path, member: tuple[str, bytes], shape: tuple[int, ...]) -> Features:
    name, content = member
    header = array_header(content)
    if header is None or header.descr != "<f4":
        raise _not_ours(path, f"{name!r} holds no float32 array")
    if header.shape != shape:
        raise _not_ours(path, f"{name!r} has the shape {header.shape}, the model takes {shape}")
    if len(content) - header.length != 4 * math.prod(shape):
        raise _not_ours(path, f"{name!r} is cut off or too long")
    sample: Features = np.frombuffer(content, "<f4", offset=header.length).reshape(shape)
    if not np.isfinite(sample).all():
        raise _not_ours(path, f"{name!r} holds NaN or infinite features")
    return sample


def _not_ours(path: Path, why: str) -> UserError:
    return UserError(f"{path}: not a calibration archive for this model ({why}); run `dvc repro -f calib`")


@dataclass(frozen=True)
class Scaling:
    """How a pixel stands for a feature: feature = (pixel - mean) / std."""

    mean: float
    std: float


def convert_tar(source: Path, target: Path, form: str, name: str, shape: Sequence[int]) -> Scaling:
    """Write an archive again in one of the formats that Pulsar2 reads, and return what its pixels mean.

    Numpy: the same bytes · Binary: raw float32 little-endian · NumpyObject: a pickled dict from the model
    input's `name` to the array · Image: 8-bit grey PNG over the range of all samples, thus lossy.
    """
    samples = list(read_tar(source, shape))
    low, high = (float(f([f(s) for s in samples])) for f in (np.min, np.max))
    step = (high - low) / 255 or 1.0
    scaling = Scaling(mean=-low / step, std=1 / step)
    if form == "Numpy":
        shutil.copyfile(source, target)
        return scaling
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index, sample in enumerate(samples):
            if form == "Binary":
                _add(tar, f"input_{index:05d}.bin", sample.astype("<f4").tobytes())
            elif form == "NumpyObject":
                _add(tar, f"input_{index:05d}.npy", _npy(np.array({name: sample}, dtype=object)))
            else:
                pixels = np.rint((sample[0, 0] - low) / step).astype(np.uint8)
                _add(tar, f"input_{index:05d}.png", _png(pixels))
    return scaling


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
