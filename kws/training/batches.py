"""Batches of one split as tensors, in an order that follows from (seed, epoch) alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kws.common.seeding import rng
from kws.common.types import Indices
from kws.training.dataset import Dataset

BLOCK = 2**23
"""Bytes of clips that are read at once, and then sliced: 668 clips of float16 [98, 64]."""

Batch = tuple[Tensor, Tensor]
"""Features as stored [n, 1, frames, n_mels], and labels int64 [n]."""


@dataclass
class Batches:
    """One process's share of each batch of `total` clips; shuffled unless `seed` is None."""

    clips: Dataset
    total: int
    seed: int | None = None
    rank: int = 0
    world: int = 1
    epoch: int = 0

    def __len__(self) -> int:
        """Batches in an epoch, the same number for every process."""
        return -(-len(self.clips) // self.total)

    def order(self) -> Indices:
        """Return this epoch's clips of this process: all processes together see each clip once.

        Where the clips cannot be shared out evenly, the first ones are seen again.
        """
        n = len(self.clips)
        order = np.arange(n) if self.seed is None else rng(self.seed, "shuffle", self.epoch).permutation(n)
        return np.resize(order, -(-n // self.world) * self.world)[self.rank :: self.world]

    def __iter__(self) -> Iterator[Batch]:
        """Yield slices of blocks that are read in one go."""
        order, size = self.order(), self.total // self.world
        shard = self.clips.shards[0]
        block = max(1, BLOCK // (shard.itemsize * math.prod(shard.shape[1:])) // size) * size
        for start in range(0, len(order), block):
            features, labels = map(torch.from_numpy, self.clips.gather(order[start : start + block]))
            yield from zip(torch.split(features, size), torch.split(labels, size), strict=True)
