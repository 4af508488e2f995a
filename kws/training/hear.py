"""What clips sound like to the frozen encoder, heard once for all trainings to come."""

from pathlib import Path

import numpy as np

from kws.common.arrays import map_array, write_array
from kws.common.errors import UserError
from kws.common.parallel import map_items
from kws.common.types import Features
from kws.features.logmel import FrontEnd
from kws.runtime.inference import Classifier

BATCH = 64
"""Clips that are heard before others are taken."""


def hear_shard(encoder: Classifier, features: Path, out: Path, front_end: FrontEnd) -> None:
    """Write what a shard of features, [clips, frames, n_mels], sounds like: float32 [clips, embedding].

    A clip is heard alone: it gives the same bits beside any others, and on any number of cores. Raises
    UserError for other features than the front end makes.
    """
    n, *shape = map_array(features, front_end.dtype, 3).shape
    if n and shape != [front_end.n_frames, front_end.n_mels]:
        found = f"clips of {shape[0]} frames and {shape[1]} bands"
        wanted = f"{front_end.n_frames} and {front_end.n_mels}"
        raise UserError(f"{features}: holds {found}, expected {wanted}; remove it and run `dvc repro`")

    batches = (_batch(features, front_end, start) for start in range(0, n, BATCH))
    write_array(out, (n, encoder.n_labels), np.float32, map_items(encoder.logits, batches))


def _batch(features: Path, front_end: FrontEnd, start: int) -> Features:
    shard = map_array(features, front_end.dtype, 3)  # anew: pages read stay until it is closed
    return np.array(shard[start : start + BATCH, None])
