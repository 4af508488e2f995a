"""The features of all labels, or what was heard of them, as later stages read them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.augment.splits import read_splits
from kws.common.arrays import check_numbers, map_array
from kws.common.errors import UserError
from kws.params.whole import Params
from kws.training.dataset import Dataset, split_dataset
from stages import paths


def dataset(params: Params, split: str, shard: Callable[[str], Path] = paths.features) -> Dataset:
    """Return one split of all labels' features, hard negatives as background, memory-mapped.

    `shard` says in which file: those of `paths.heard` hold what the clips sound like to the encoder. Raises
    UserError where a file holds anything else, or other clips than its manifest.
    """
    names = [*params.labels, paths.HARD]
    labels = [params.labels.index(params.background if name == paths.HARD else name) for name in names]
    splits = [read_splits(paths.manifest(name)) for name in names]
    front_end, files = params.features, [shard(name) for name in names]
    if shard is paths.features:
        shards = [map_array(path, front_end.dtype, 3) for path in files]
        wanted: tuple[int, ...] = (front_end.n_frames, front_end.n_mels)
    else:
        shards = [map_array(path, np.float32, 2) for path in files]
        wanted = shards[0].shape[1:]
    for path, array, clips in zip(files, shards, splits, strict=True):
        _check(path, array, (len(clips), *wanted))
        if shard is not paths.features:
            check_numbers(path, array)
    return split_dataset(shards, labels, splits, split)


def _check(path: Path, array: NDArray[np.floating], wanted: tuple[int, ...]) -> None:
    if array.shape != wanted:
        raise UserError(f"{path}: has shape {array.shape}, expected {wanted}; remove it and run `dvc repro`")
