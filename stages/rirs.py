"""Simulate rooms and add measured ones: data/rirs/rirs.npy, float32 [rooms, taps], and rirs.csv."""

import csv
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from kws.augment.rooms import align, simulate, taps
from kws.common.arrays import write_array
from kws.common.files import replacing
from kws.common.parallel import map_blocks
from kws.common.types import Audio
from kws.params.sections import Rooms
from kws.params.whole import load_params
from kws.recordings.audio import audio_files, read_audio
from stages import paths, run


def main() -> None:
    """Write the impulse responses that clips are played through, and where each comes from."""
    params = load_params(paths.PARAMS)
    rooms, rate = params.augment.rooms, params.features.sample_rate
    made = map_blocks(partial(_block, rooms, params.seed, rate), rooms.count, block=4)
    rirs = {f"room {index}": rir for index, rir in enumerate(chain.from_iterable(made))}
    for path in audio_files(Path(params.data.rirs), optional=True):
        rirs[path.name] = align(read_audio(path, rate), taps(rooms, rate))
    with replacing(paths.RIRS.parent) as folder:
        folder.mkdir()
        rows = np.stack(list(rirs.values()))
        write_array(folder / paths.RIRS.name, rows.shape, rows.dtype, [rows])
        with (folder / "rirs.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("rir", "source"), *enumerate(rirs)])


def _block(rooms: Rooms, seed: int, rate: int, indices: range) -> list[Audio]:
    return [simulate(rooms, index, seed, rate) for index in indices]


if __name__ == "__main__":
    run(main)
