"""The spoken words of pretrain/work/spoken, bank by bank."""

import csv

import numpy as np

from kws.augment.sources import Bank
from kws.common.types import Audio
from pretrain.speak import SPOKEN

BANKS = {"bank": 11, "espeak_words": 4, "flite_words": 3, "pieces": 3, "stamps": 3}
"""Whose words clips say, and how often."""


def read_spoken(name: str) -> tuple[Bank, list[str]]:
    """Return the words of a bank, called NAME/0 and so on, and what each says: "" where it is no word."""
    path = SPOKEN / f"{name}.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [f"{name}/{index}" for index in range(len(rows))]
    bounds = np.cumsum([0, *(int(row["samples"]) for row in rows)])
    offsets = {n: (int(a), int(b)) for n, a, b in zip(names, bounds, bounds[1:], strict=False)}
    samples = np.load(path.with_suffix(".npy"), allow_pickle=False)
    said = [f"{row['language']}:{row['word']}" if row["word"] else "" for row in rows]
    return Bank(samples, offsets, dict.fromkeys(names, "")), said


def words_of(bank: Bank) -> list[Audio]:
    """Return all words of a bank, float32 [samples] each."""
    return [bank.segment(name, 0, bank.length(name)) for name in bank.names]
