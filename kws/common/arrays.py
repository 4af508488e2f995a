"""NumPy's .npy files: written block by block, and read without believing what a header says."""

import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kws.common.errors import UserError
from kws.common.files import naming

HEADER_LIMIT = 4096
"""Bytes at the beginning of a .npy file that hold its header, with room to spare."""
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<descr>[<>|][bcfiu]\d{1,2})', 'fortran_order': False, "
    rb"'shape': \((?P<shape>\d{1,15},|\d{1,15}(?:, \d{1,15}){1,9}|)\), \} *\n",
    re.DOTALL,
)


def write_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike, blocks: Iterable[NDArray[Any]]) -> None:
    """Write consecutive blocks of rows as one .npy file of a known shape, holding one block at a time.

    Plain writes: a full disk is then an OSError that says so. A memory map would kill the process, and
    `np.save` tells no reason.
    """
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with naming(path), path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).tobytes())


def map_array(path: Path, dtype: DTypeLike, ndim: int) -> NDArray[Any]:
    """Return a .npy file of so many axes, mapped to be read; UserError where it is anything else."""
    with path.open("rb") as file:
        header = array_header(file.read(HEADER_LIMIT))
        size = file.seek(0, os.SEEK_END)
    wanted = f"{np.dtype(dtype).str} of {ndim} axes"
    if header is None:
        raise UserError(f"{path}: no array, expected {wanted}; remove it and run `dvc repro`")
    if header.descr != np.dtype(dtype).str or len(header.shape) != ndim:
        found = f"{header.descr} of shape {header.shape}"
        raise UserError(f"{path}: holds {found}, expected {wanted}; remove it and run `dvc repro`")
    if size - header.length != np.dtype(dtype).itemsize * math.prod(header.shape):
        raise UserError(f"{path}: is cut off or too long; remove it and run `dvc repro`")
    if not math.prod(header.shape):
        return np.empty(header.shape, dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype, "r", header.length, header.shape)


def check_numbers(path: Path, array: NDArray[np.floating]) -> None:
    """Raise UserError where an array that a file holds has values that are not finite."""
    if not np.isfinite(array).all():
        raise UserError(f"{path}: holds values that are no numbers; remove it and run `dvc repro`")


class ArrayHeader(NamedTuple):
    """What a .npy file says of itself: type as NumPy spells it, shape, and where its values begin."""

    descr: str
    shape: tuple[int, ...]
    length: int


def array_header(start: bytes) -> ArrayHeader | None:
    """Read the header that NumPy writes for an array of plain values in C order; None for anything else.

    NumPy's own reader evaluates a header as Python, and ends in a dozen kinds of error.
    """
    found = _NPY.match(start)
    if not found or found.end() != 10 + int.from_bytes(found["length"], "little"):
        return None
    shape = tuple(int(axis) for axis in found["shape"].split(b",") if axis.strip())
    return ArrayHeader(found["descr"].decode(), shape, found.end())
