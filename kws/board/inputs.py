"""Held-out clips in the layout that `ax_run_model` and `pulsar2 run` read and write, one folder an input."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.common.errors import UserError
from kws.common.foreign import read_bytes, read_rows
from kws.common.types import Features, Labels, Logits


def write_inputs(folder: Path, inputs: Features, labels: list[str], files: list[str]) -> None:
    """Write `input/<i>/input.bin` (float32 little-endian), `list.txt` and `labels.csv`, LF on every platform.

    A list with CRLF line ends makes ax_run_model look for folders named "0\\r" and skip them all.
    """
    for index, features in enumerate(inputs):
        sample = folder / "input" / str(index)
        sample.mkdir(parents=True)
        (sample / "input.bin").write_bytes(features.astype("<f4").tobytes())
    (folder / "list.txt").write_bytes("".join(f"{index}\n" for index in range(len(inputs))).encode())
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", "label", "file"])
        writer.writerows((index, *row) for index, row in enumerate(zip(labels, files, strict=True)))


@dataclass(frozen=True)
class Input:
    """A row of labels.csv: an input's folder and what is said in it."""

    index: str
    label: str


def read_labels(path: Path, labels: Sequence[str]) -> list[Input]:
    """Return the rows of the labels.csv that `write_inputs` wrote.

    Raises UserError where it is no such table, holds no rows, or names a folder or a label that cannot be, or
    one folder twice.
    """
    rows = [(line, Input(row["index"], row["label"])) for line, row in read_rows(path, ["index", "label"])]
    if not rows:
        raise UserError(f"{path}: has no rows; run `calib` again")
    lines: dict[str, int] = {}
    for line, row in rows:
        where = f"{path}, line {line}"
        if not re.fullmatch(r"[0-9]{1,9}", row.index):
            raise UserError(f"{where}: index {row.index[:40]!a}, expected a number")
        if (first := lines.setdefault(row.index, line)) != line:
            raise UserError(f"{where}: index {row.index} stands in line {first} already; run `calib` again")
        if row.label not in labels:
            raise UserError(f"{where}: label {row.label[:40]!r}, expected one of {' '.join(labels)}")
    return [row for _, row in rows]


def read_inputs(folder: Path, shape: tuple[int, int], labels: list[str]) -> tuple[Features, Labels]:
    """Return what `write_inputs` wrote: features float32 [n, 1, frames, n_mels] and labels int64 [n].

    Raises UserError where the table or an input is not what was written.
    """
    rows, size = read_labels(folder / "labels.csv", labels), 4 * shape[0] * shape[1]
    features = np.empty((len(rows), 1, *shape), np.float32)
    for row, values in zip(rows, features, strict=True):
        path = folder / "input" / row.index / "input.bin"
        content = read_bytes(path, size)
        if len(content) != size:
            raise UserError(f"{path}: holds {len(content)} bytes, expected {size}; run `calib` again")
        values[0] = np.frombuffer(content, "<f4").reshape(shape)
    return features, np.array([labels.index(row.label) for row in rows], np.int64)


def check_list(path: Path) -> None:
    """Raise UserError unless every line of a list.txt is a folder's name and ends in a line feed alone."""
    content = path.read_bytes()
    if b"\r" in content:
        raise UserError(
            f"{path}: has Windows line ends, so ax_run_model would look for folders named '0\\r' and skip "
            "them; write it with line feeds alone (sed -i 's/\\r$//')"
        )
    if not re.fullmatch(rb"(?:[\w-]+\n)+", content):
        raise UserError(
            f"{path}: expected one folder name a line, each ending in a line feed; run `calib` again"
        )


def folders(path: Path) -> list[str]:
    """Return the folder names of a list.txt."""
    return path.read_text(encoding="ascii").split("\n")[:-1]


def read_outputs(outputs: Mapping[str, bytes], wanted: Sequence[str], n_labels: int, what: str) -> Logits:
    """Return the contents of `<i>/output.bin` as logits float32 [n, n_labels], in the order wanted.

    Raises UserError, beginning with `what`, where one is missing, has another length or is not finite.
    """
    missing = [index for index in wanted if index not in outputs]
    if missing:
        raise UserError(
            f"{what}: {len(missing)} of {len(wanted)} inputs have no output, the first of them {missing[0]}"
        )
    logits = [logits_of(outputs[index], n_labels, f"{what}: output {index}") for index in wanted]
    return np.stack(logits)


def logits_of(content: bytes, n_labels: int, what: str) -> Logits:
    """Return the numbers of an output.bin, float32 [n_labels]; raise UserError where it holds other ones."""
    if len(content) != 4 * n_labels:
        raise UserError(
            f"{what}: holds {len(content)} bytes, expected {4 * n_labels}: a float32 for each label"
        )
    values = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{what}: holds NaN or infinity; the model does not run properly there")
    return values
