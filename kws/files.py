"""Files that are either whole or absent."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; an absent one is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield `<path>.partial` to be written, a file or a folder; it takes `path`'s place only on success.

    What a killed run left behind under that name is cleared first.
    """
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(partial)
    try:
        yield partial
        remove(path)
        partial.replace(path)
    finally:
        remove(partial)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield an empty folder that is removed afterwards, as is what a killed run left of it."""
    remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        remove(path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON that ends in a newline, LF on every platform."""
    with replacing(path) as partial:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        partial.write_bytes(text.encode())


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as UTF-8 CSV with a header, LF on every platform; None is an empty cell."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path, text: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a CSV file: floats, None for an empty cell, and strings in the columns of `text`."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: cell if name in text else float(cell) if cell else None for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def write_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike, blocks: Iterable[NDArray[Any]]) -> None:
    """Write consecutive blocks of rows as one .npy file of a known shape, holding one block at a time.

    Plain writes, not a memory map: a full disk is then an OSError, where a map would kill the process.
    """
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).tobytes())


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):  # hashlib.file_digest is newer than the Python of the boards
            digest.update(block)
    return digest.hexdigest()
