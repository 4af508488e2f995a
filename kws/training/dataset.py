"""The clips of one split over all labels, read from memory-mapped features in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Features, Indices, Labels


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

    def gather(self, indices: Indices) -> tuple[NDArray[Any], Labels]:
        """Return features [n, 1, frames, n_mels] as stored, and labels int64 [n], in the order given.

        Each shard is read once, front to back.
        """
        features = np.empty((len(indices), 1, *self.shards[0].shape[1:]), self.shards[0].dtype)
        order = np.argsort(indices)
        where, rows = self.where[indices[order]], self.rows[indices[order]]
        edges = np.searchsorted(where, np.arange(len(self.shards) + 1))
        for shard, start, stop in zip(self.shards, edges[:-1], edges[1:], strict=True):
            if start < stop:
                features[order[start:stop], 0] = _fresh(shard)[rows[start:stop]]
        return features, self.labels[indices]

    def take(self, indices: Indices) -> tuple[Features, Labels]:
        """Return features float32 [n, 1, frames, n_mels] and labels int64 [n], sorted by clip."""
        features, labels = self.gather(np.sort(indices))
        return features.astype(np.float32), labels

    def batches(self, size: int) -> Iterator[tuple[Features, Labels]]:
        """Yield all clips in batches of `size`, in their own order."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


def split_dataset(
    shards: list[NDArray[np.floating]], labels: list[int], splits: list[list[str]], split: str
) -> Dataset:
    """Return the clips of one split: `labels` names each shard's label, `splits` each clip's split."""
    rows = [np.flatnonzero(np.array(names, str) == split) for names in splits]
    where = np.repeat(np.arange(len(shards)), [len(found) for found in rows])
    return Dataset(shards, where, np.concatenate(rows), np.array(labels, np.int64)[where])


def _fresh(shard: NDArray[Any]) -> NDArray[Any]:
    """Map a memory-mapped shard anew: pages read through a map stay resident until it is closed."""
    if isinstance(shard, np.memmap) and shard.filename:
        return np.memmap(shard.filename, shard.dtype, "r", shard.offset, shard.shape)
    return shard
