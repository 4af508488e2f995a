"""Clips as WAV files, for ears and for other tools."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kws.augment.clips import read_manifest
from kws.common.arrays import map_array
from kws.common.errors import UserError
from kws.recordings.audio import write_sound


def write_wavs(shard: Path, out: Path, n: int | None, rate: int, original: bool) -> Iterator[Path]:
    """Write clips of a shard as 16-bit WAV and yield each path.

    Without `n` all are written, with it that many, evenly spread. Names tell the source and its most audible
    changes; `original` names them as the first generator did: `<LABEL>/<label>_00000.wav`.
    """
    if not (shard / "clips.npy").is_file():
        raise UserError(f"{shard}: no clips of that label; run `dvc repro augment` first, or check its name")
    clips = map_array(shard / "clips.npy", np.int16, 2)
    rows = read_manifest(shard / "manifest.csv")
    folder = out / shard.name if original else out
    folder.mkdir(parents=True, exist_ok=True)
    for index in np.unique(np.linspace(0, len(rows) - 1, n or len(rows)).astype(int)):
        row = rows[index]
        noise = f"{row.snr_db:.0f}dB" if row.noise else "clean"
        told = f"{index:05d}_{row.kind}_{Path(row.source).stem}_{row.semitones:+.1f}st_{noise}.wav"
        path = folder / (f"{shard.name.lower()}_{index:05d}.wav" if original else told)
        write_sound(path, clips[index], rate)
        yield path
