"""Thresholds such that all keywords together stay below a rate of false accepts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.evaluation.sweep import Tally

NEVER = 2.0
"""A threshold that no probability reaches."""
LOUD_PER_HOUR = 60.0
"""False accepts of a keyword, where the quieter half of them keeps silent, beyond which it stands apart."""
LOUD = 10
"""False accepts that it takes to know such a rate."""


@dataclass(frozen=True)
class Choice:
    """What was chosen."""

    on: NDArray[np.float64]
    """threshold of each keyword"""
    apart: dict[int, float]
    """keywords that do not share the common threshold: their false accepts an hour where others are silent"""


def choose_thresholds(swept: Tally, grid: NDArray[np.float64], target_fa_per_hour: float) -> Choice:
    """Return thresholds for `target_fa_per_hour` on other streams, as long as the swept ones.

    All keywords share one. `swept` has a row for each threshold of `grid`, ascending. Of two samples of the
    same length one has, on average, one score above the other's highest: so one false accept fewer is allowed
    than the target leaves room for, and none where it leaves room for none; and thresholds of their own would
    be passed once for each keyword. The threshold lies halfway, in the grid's steps, between the lowest
    allowed and the highest with the same hits: as far from the negatives as from the words. Where no word is
    hit it is the lowest allowed; where none is said, near misses count as false accepts, since nobody can say
    how many words it costs to keep them out.

    A keyword that fires LOUD times, and more than LOUD_PER_HOUR, where the quieter half of them keeps silent
    would take the others with it: it has the lowest threshold at which it keeps silent itself, which may be
    NEVER.
    """
    allowed = max(0, int(target_fa_per_hour * swept.hours.sum()) - 1)
    false, hits = swept.false_accepts.sum(axis=0), swept.hits.sum(axis=0)
    own = np.array([_lowest(counts, 0) for counts in false.T])
    quieter = np.argsort(own, kind="stable")[: (len(own) + 1) // 2]
    there = _lowest(false[:, quieter].sum(axis=1), allowed)
    fires = np.array([_from_above(counts)[there] for counts in false.T])
    per_hour = fires / swept.hours.sum()
    apart = (own == len(grid)) | ((per_hour > LOUD_PER_HOUR) & (fires >= LOUD))
    wrong = false if swept.words.any() else false + swept.near_accepts.sum(axis=0)
    lowest = _lowest(wrong[:, ~apart].sum(axis=1), allowed)
    heard = _from_above(hits[:, ~apart].sum(axis=1))
    highest = int(np.flatnonzero(heard == heard[lowest])[-1]) if heard[lowest] else lowest
    thresholds = np.append(grid, NEVER)
    on = np.where(apart, thresholds[own], thresholds[(lowest + highest) // 2])
    return Choice(on, {int(k): float(per_hour[k]) for k in np.flatnonzero(apart)})


def _lowest(wrong: NDArray[np.int64], allowed: int) -> int:
    """Return the lowest row from which on no more than `allowed` of the counts [rows] occur."""
    return int(np.flatnonzero(_from_above(wrong) <= allowed)[0])


def _from_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts [rows + 1] that never rise with the threshold; the last row is NEVER's.

    A higher threshold now and then counts more, where an event moves out of another's refractory time.
    """
    monotonic: NDArray[np.int64] = np.maximum.accumulate(np.append(counts, 0)[::-1])[::-1]
    return monotonic
