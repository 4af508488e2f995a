"""Held-out clips in the layout that `ax_run_model` and `pulsar2 run` read and write, one folder an input."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kws.errors import UserError
from kws.types import Features, Labels, Logits


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


def read_inputs(folder: Path, shape: tuple[int, int], labels: list[str]) -> tuple[Features, Labels]:
    """Return what `write_inputs` wrote: features float32 [n, 1, frames, n_mels] and labels int64 [n]."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    samples = [np.fromfile(folder / "input" / row["index"] / "input.bin", "<f4") for row in rows]
    features = np.stack(samples).reshape(-1, 1, *shape).astype(np.float32)
    return features, np.array([labels.index(row["label"]) for row in rows], np.int64)


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
