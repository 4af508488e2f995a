"""A label's clips on disk: one array and one manifest row a clip."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from kws.augment.recipe import Clip
from kws.files import write_array
from kws.types import Pcm


def write_clips(folder: Path, shape: tuple[int, int], blocks: Iterable[tuple[list[Clip], Pcm]]) -> None:
    """Write `clips.npy`, int16 [n, samples], and `manifest.csv` into a new folder, block by block."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Clip))

        def audio() -> Iterator[Pcm]:
            for rows, pcm in blocks:
                writer.writerows(astuple(row) for row in rows)
                yield pcm

        write_array(folder / "clips.npy", shape, np.int16, audio())
