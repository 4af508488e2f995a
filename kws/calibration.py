"""The calibration archive: training clips, the same number of each label, as a tar of .npy files."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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
            buffer = io.BytesIO()
            np.save(buffer, np.ascontiguousarray(sample[None], dtype="<f4"))
            member = tarfile.TarInfo(f"input_{index:05d}.npy")
            member.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(member, buffer)


def read_tar(path: Path) -> Iterator[Features]:
    """Yield the samples of an archive in order."""
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            file = tar.extractfile(member)
            if file is not None:
                yield np.load(io.BytesIO(file.read()), allow_pickle=False)
