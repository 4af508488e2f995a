"""The clips of one split over all labels, read from memory-mapped features in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.types import Features, Indices, Labels


@dataclass(frozen=True)
class Dataset:
    """`shards[label]` is [clips, frames, n_mels]; `labels` and `rows` (int64 [n]) say which clips belong."""

    shards: list[NDArray[np.floating]]
    labels: Labels
    rows: Indices

    def __len__(self) -> int:
        """Clips in the split."""
        return len(self.rows)

    def take(self, indices: Indices) -> tuple[Features, Labels]:
        """Return features float32 [n, 1, frames, n_mels] and label indices int64 [n], sorted by clip."""
        indices = np.sort(indices)
        labels, rows = self.labels[indices], self.rows[indices]
        batch = np.empty((len(indices), 1, *self.shards[0].shape[1:]), np.float32)
        for label in np.unique(labels):
            batch[labels == label, 0] = self.shards[label][rows[labels == label]]
        return batch, labels

    def batches(self, size: int, order: Indices | None = None) -> Iterator[tuple[Features, Labels]]:
        """Yield all clips in batches of `size`, in their own order or a given one."""
        order = np.arange(len(self)) if order is None else order
        for start in range(0, len(order), size):
            yield self.take(order[start : start + size])


def split_dataset(shards: list[NDArray[np.floating]], splits: list[list[str]], split: str) -> Dataset:
    """Return the clips of one split; `splits[label]` names the split of each of the label's clips."""
    rows = [np.flatnonzero(np.array(names) == split) for names in splits]
    labels = [np.full(len(found), label) for label, found in enumerate(rows)]
    return Dataset(shards, np.concatenate(labels).astype(np.int64), np.concatenate(rows).astype(np.int64))
