"""Which clips train and which validate, and which files each split may use."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

from kws.params.sections import n_validation

TRAIN, VAL = "train", "val"


def split_of(index: int, n: int, val_share: float) -> str:
    """Return the split of clip `index` of n: the last ones validate."""
    return VAL if index >= n - n_validation(n, val_share) else TRAIN


def partition(items: Sequence[str], val_share: float, least: int) -> dict[str, list[str]]:
    """Return disjoint items for training and validation, chosen by name alone.

    Fewer than `least` items cannot be shared out: both splits then use them all.
    """
    if len(items) < least:
        return {TRAIN: list(items), VAL: list(items)}
    shuffled = sorted(items, key=lambda item: hashlib.sha256(item.encode()).digest())
    n_val = n_validation(len(items), val_share)
    return {TRAIN: sorted(shuffled[n_val:]), VAL: sorted(shuffled[:n_val])}


def read_splits(manifest: Path) -> list[str]:
    """Return the split of each clip in a manifest, in order."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return [row["split"] for row in csv.DictReader(file)]
