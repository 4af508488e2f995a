"""A label's clips on disk: one array and one manifest row a clip."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from kws.augment.recipe import Clip
from kws.types import Pcm


def write_clips(
    folder: Path, n: int, samples: int, blocks: Iterable[tuple[range, tuple[list[Clip], Pcm]]]
) -> None:
    """Write `clips.npy`, int16 [n, samples], and `manifest.csv` into a new folder, block by block."""
    folder.mkdir(parents=True)
    clips = np.lib.format.open_memmap(folder / "clips.npy", mode="w+", dtype=np.int16, shape=(n, samples))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Clip))
        for indices, (rows, audio) in blocks:
            clips[indices.start : indices.stop] = audio
            writer.writerows(astuple(row) for row in rows)
    clips.flush()
