"""The features of all labels, or what was heard of them, as later stages read them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kws.augment.splits import read_splits
from kws.params.whole import Params
from kws.training.dataset import Dataset, split_dataset
from stages import paths


def dataset(params: Params, split: str, shard: Callable[[str], Path] = paths.features) -> Dataset:
    """Return one split of all labels' features, hard negatives as background, memory-mapped.

    `shard` says in which file: those of `paths.heard` hold what the clips sound like to the encoder.
    """
    names = [*params.labels, paths.HARD]
    labels = [params.labels.index(params.background if name == paths.HARD else name) for name in names]
    shards = [np.load(shard(name), mmap_mode="r", allow_pickle=False) for name in names]
    splits = [read_splits(paths.manifest(name)) for name in names]
    return split_dataset(shards, labels, splits, split)
