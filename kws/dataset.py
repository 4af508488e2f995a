"""The clips of one split over all labels, read from memory-mapped features in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.types import Features, Indices, Labels


@dataclass(frozen=True)
class Dataset:
    """Clips of `shards`, each [clips, frames, n_mels]: clip i is row `rows[i]` of shard `where[i]`."""

    shards: list[NDArray[np.floating]]
    where: Indices
    rows: Indices
    labels: Labels

    def __len__(self) -> int:
        """Clips in the split."""
        return len(self.rows)

    def take(self, indices: Indices) -> tuple[Features, Labels]:
        """Return features float32 [n, 1, frames, n_mels] and labels int64 [n], sorted by clip."""
        indices = np.sort(indices)
        where, rows = self.where[indices], self.rows[indices]
        batch = np.empty((len(indices), 1, *self.shards[0].shape[1:]), np.float32)
        for shard in np.unique(where):
            batch[where == shard, 0] = self.shards[shard][rows[where == shard]]
        return batch, self.labels[indices]

    def batches(self, size: int, order: Indices | None = None) -> Iterator[tuple[Features, Labels]]:
        """Yield all clips in batches of `size`, in their own order or a given one."""
        order = np.arange(len(self)) if order is None else order
        for start in range(0, len(order), size):
            yield self.take(order[start : start + size])


def split_dataset(
    shards: list[NDArray[np.floating]], labels: list[int], splits: list[list[str]], split: str
) -> Dataset:
    """Return the clips of one split: `labels` names each shard's label, `splits` each clip's split."""
    rows = [np.flatnonzero(np.array(names, str) == split) for names in splits]
    where = np.repeat(np.arange(len(shards)), [len(found) for found in rows])
    return Dataset(shards, where, np.concatenate(rows), np.array(labels, np.int64)[where])
