"""Thresholds such that all keywords together stay below a rate of false accepts."""

import numpy as np
from numpy.typing import NDArray

from kws.evaluation.sweep import Tally

NEVER = 2.0
"""A threshold that no probability reaches."""


def choose_thresholds(
    swept: Tally, grid: NDArray[np.float64], target_fa_per_hour: float
) -> NDArray[np.float64]:
    """Return thresholds [keywords] for `target_fa_per_hour` on other streams, as long as the swept ones.

    It is the same for all keywords, but for those that no threshold keeps quiet, which never fire. `swept`
    has a row for each threshold of `grid`, ascending. Of two samples of the same length one has, on average,
    one score above the other's highest: so one false accept fewer is allowed than the target leaves room for,
    and none where it leaves room for none; and thresholds of their own would be passed once for each keyword.
    The threshold lies halfway, in the grid's steps, between the lowest allowed and the highest with the same
    hits: as far from the negatives as from the words.
    """
    allowed = max(0, int(target_fa_per_hour * swept.hours.sum()) - 1)
    usable = swept.false_accepts.sum(axis=0)[-1] <= allowed
    hits, wrong = (
        _from_above(counts.sum(axis=0)[:, usable].sum(axis=1)) for counts in (swept.hits, swept.false_accepts)
    )
    lowest = int(np.flatnonzero(wrong <= allowed)[0])
    highest = int(np.flatnonzero(hits == hits[lowest])[-1])
    return np.where(usable, np.append(grid, NEVER)[(lowest + highest) // 2], NEVER)


def _from_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts [rows + 1] that never rise with the threshold; the last row is NEVER's.

    A higher threshold now and then counts more, where an event moves out of another's refractory time.
    """
    monotonic: NDArray[np.int64] = np.maximum.accumulate(np.append(counts, 0)[::-1])[::-1]
    return monotonic
