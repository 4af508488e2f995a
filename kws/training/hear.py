"""What clips sound like to the frozen encoder, heard once for all trainings to come."""

from pathlib import Path

import numpy as np
import torch

from kws.common.arrays import map_array, write_array
from kws.common.parallel import in_threads
from kws.common.types import Directions
from kws.features.logmel import FrontEnd
from kws.models.encoder import EMBEDDING, Encoder
from kws.training.checkpoint import Checkpoint

BATCH = 32
"""Clips that are heard together, always as many: a lone one is summed in another order, and more take memory
that the system is slow to give."""


def hear_shard(weights: Checkpoint, features: Path, out: Path, front_end: FrontEnd) -> None:
    """Write what a shard of features, [clips, frames, n_mels], sounds like: float32 [clips, EMBEDDING].

    A clip gives the same bits beside any others, and on any number of cores: each hears batches of its own.
    """
    torch.set_num_threads(1)
    encoder = weights.network()
    assert isinstance(encoder, Encoder)
    n = len(map_array(features, front_end.dtype, 3))

    def batch(start: int) -> Directions:
        clips = np.zeros((BATCH, 1, front_end.n_frames, front_end.n_mels), np.float32)
        shard = map_array(features, front_end.dtype, 3)  # anew: pages read stay until it is closed
        stop = min(start + BATCH, n)
        clips[: stop - start, 0] = shard[start:stop]
        with torch.inference_mode():
            heard: Directions = encoder.embedding(torch.from_numpy(clips)).numpy()
        return heard[: stop - start]

    write_array(out, (n, EMBEDDING), np.float32, in_threads(batch, range(0, n, BATCH)))
