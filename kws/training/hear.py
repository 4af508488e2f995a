"""What clips sound like to the frozen encoder, heard once for all trainings to come."""

from pathlib import Path

import numpy as np

from kws.common.arrays import map_array, write_array
from kws.common.parallel import in_threads
from kws.common.types import Directions
from kws.features.logmel import FrontEnd
from kws.runtime.inference import Classifier

BATCH = 64
"""Clips that a thread hears before it takes others."""


def hear_shard(encoder: Classifier, features: Path, out: Path, front_end: FrontEnd) -> None:
    """Write what a shard of features, [clips, frames, n_mels], sounds like: float32 [clips, embedding].

    A clip is heard alone: it gives the same bits beside any others, and on any number of cores.
    """
    n = len(map_array(features, front_end.dtype, 3))

    def batch(start: int) -> Directions:
        shard = map_array(features, front_end.dtype, 3)  # anew: pages read stay until it is closed
        return encoder.logits(shard[start : start + BATCH, None])

    write_array(out, (n, encoder.n_labels), np.float32, in_threads(batch, range(0, n, BATCH)))
