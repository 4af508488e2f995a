"""Held-out clips in the layout that `ax_run_model` and `pulsar2 run` read: input/<i>/input.bin, list.txt."""

import csv
from pathlib import Path

import numpy as np

from kws.types import Features, Labels


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
