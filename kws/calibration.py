"""The calibration archive: training clips, the same number of each label, as a tar of .npy files."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kws.errors import UserError
from kws.seeding import rng
from kws.types import Features, Indices, Labels


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


def read_tar(path: Path) -> Iterator[Features]:
    """Yield the samples of an archive in order."""
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            file = tar.extractfile(member)
            if file is not None:
                yield np.load(io.BytesIO(file.read()), allow_pickle=False)


@dataclass(frozen=True)
class Scaling:
    """How a pixel stands for a feature: feature = (pixel - mean) / std."""

    mean: float
    std: float


def convert_tar(source: Path, target: Path, form: str, name: str) -> Scaling:
    """Write an archive again in one of the formats that Pulsar2 reads, and return what its pixels mean.

    Numpy: the same bytes · Binary: raw float32 little-endian · NumpyObject: a pickled dict from the model
    input's `name` to the array · Image: 8-bit grey PNG over the range of all samples, thus lossy.
    """
    samples = list(read_tar(source))
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
