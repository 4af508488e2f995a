"""What each event was: the word it should be, a word like it, or nothing of the kind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.detector import Triggers
from kws.evaluation.streams import Spoken

GRACE_S = 1.0
"""An event is a hit from the start of its word until this long after its end."""

HIT, NEAR_MISS, FALSE_ACCEPT = 0, 1, 2


@dataclass(frozen=True)
class Matches:
    """What fired in one stream, with what it was; one entry each."""

    outcome: NDArray[np.int64]
    """HIT, NEAR_MISS or FALSE_ACCEPT"""
    word: NDArray[np.int64]
    """position in the stream's `spoken` of what was heard, -1 for a false accept"""


def match(fired: Triggers, ends: NDArray[np.floating], spoken: list[Spoken], keywords: list[str]) -> Matches:
    """Say what each trigger was; `ends` are the times of their windows' ends, in seconds.

    A word is hit once, by the first event of its label that ends within [start, end + GRACE_S]. An event in
    the same interval of a near miss, and not a hit, is one, once. All else is a false accept, a second
    event on the same word too.
    """
    outcome = np.full(len(ends), FALSE_ACCEPT, np.int64)
    word = np.full(len(ends), -1, np.int64)
    for index in sorted(range(len(spoken)), key=lambda i: spoken[i].label not in keywords):
        said = spoken[index]
        inside = (ends >= said.start) & (ends <= said.end + GRACE_S) & (word < 0)
        if said.label in keywords:
            inside &= fired.keyword == keywords.index(said.label)
        candidates = np.flatnonzero(inside)
        _, first = np.unique(fired.row[candidates], return_index=True)
        outcome[candidates[first]] = HIT if said.label in keywords else NEAR_MISS
        word[candidates[first]] = index
    return Matches(outcome, word)
