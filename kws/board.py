"""Held-out clips in the layout that `ax_run_model` and `pulsar2 run` read: input/<i>/input.bin, list.txt."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.evalset import EvalSet
from kws.features import Features
from kws.seeding import rng


def choose_inputs(words: EvalSet, near_misses: EvalSet, size: int, seed: int) -> EvalSet:
    """Return up to `size` clips: words first, then near misses, each drawn at random but kept in order."""
    chosen = [_sample(words, size, seed), _sample(near_misses, size - min(size, len(words)), seed)]
    return EvalSet(
        np.concatenate([c.features for c in chosen]),
        np.concatenate([c.labels for c in chosen]),
        [name for c in chosen for name in c.files],
    )


def write_inputs(folder: Path, inputs: EvalSet, labels: list[str]) -> None:
    """Write `input/<i>/input.bin` (float32 little-endian), `list.txt` and `labels.csv`, LF on every platform.

    A list with CRLF line ends makes ax_run_model look for folders named "0\\r" and skip them all.
    """
    for index, features in enumerate(inputs.features):
        sample = folder / "input" / str(index)
        sample.mkdir(parents=True)
        (sample / "input.bin").write_bytes(features.astype("<f4").tobytes())
    (folder / "list.txt").write_bytes("".join(f"{index}\n" for index in range(len(inputs))).encode())
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", "label", "file"])
        for index, (label, name) in enumerate(zip(inputs.labels, inputs.files, strict=True)):
            writer.writerow([index, labels[label], name])


def read_inputs(
    folder: Path, shape: tuple[int, int], labels: list[str]
) -> tuple[Features, NDArray[np.int64]]:
    """Return what `write_inputs` wrote: features float32 [n, 1, frames, n_mels] and labels int64 [n]."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    samples = [np.fromfile(folder / "input" / row["index"] / "input.bin", "<f4") for row in rows]
    features = np.stack(samples).reshape(-1, 1, *shape).astype(np.float32)
    return features, np.array([labels.index(row["label"]) for row in rows], np.int64)


def _sample(clips: EvalSet, size: int, seed: int) -> EvalSet:
    order = np.sort(rng(seed, "board inputs", 0).permutation(len(clips))[:size])
    return EvalSet(clips.features[order], clips.labels[order], [clips.files[i] for i in order])
