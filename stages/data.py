"""The features of all labels, as the stages after `logmel` read them."""

import numpy as np

from kws.config import Params
from kws.dataset import Dataset, split_dataset
from kws.splits import read_splits
from stages import paths


def dataset(params: Params, split: str) -> Dataset:
    """Return one split of all labels' features, memory-mapped."""
    shards = [np.load(paths.features(label), mmap_mode="r", allow_pickle=False) for label in params.labels]
    splits = [read_splits(paths.clips(label) / "manifest.csv") for label in params.labels]
    return split_dataset(shards, splits, split)
