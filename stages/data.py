"""The features of all labels, as the stages after `logmel` read them."""

import numpy as np

from kws.augment.splits import read_splits
from kws.params.whole import Params
from kws.training.dataset import Dataset, split_dataset
from stages import paths


def dataset(params: Params, split: str) -> Dataset:
    """Return one split of all labels' features, hard negatives as background, memory-mapped."""
    names = [*params.labels, paths.HARD]
    labels = [params.labels.index(params.background if name == paths.HARD else name) for name in names]
    shards = [np.load(paths.features(name), mmap_mode="r", allow_pickle=False) for name in names]
    splits = [read_splits(paths.manifest(name)) for name in names]
    return split_dataset(shards, labels, splits, split)
