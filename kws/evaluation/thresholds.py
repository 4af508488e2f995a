"""A threshold for each keyword, such that all together stay below a rate of false accepts."""

import numpy as np
from numpy.typing import NDArray

from kws.evaluation.sweep import Tally

NEVER = 2.0
"""A threshold that no probability reaches."""


def choose_thresholds(
    swept: Tally, grid: NDArray[np.float64], target_fa_per_hour: float
) -> NDArray[np.float64]:
    """Return thresholds [keywords] for at most `target_fa_per_hour` on the swept streams.

    `swept` has a row for each threshold of `grid`, ascending, the same for all keywords. Every keyword starts
    at its lowest threshold without a false accept; the false accepts that the target leaves room for are then
    spent one step after the other where they buy most hits. Each threshold ends halfway, in the grid's steps,
    between the lowest that this allows and the highest with the same hits: as far from the negatives as from
    the words.
    """
    hits, wrong = (_from_above(counts.sum(axis=0)) for counts in (swept.hits, swept.false_accepts))
    budget = int(target_fa_per_hour * swept.hours.sum())
    keywords = range(hits.shape[1])
    rows = np.array([int(np.flatnonzero(wrong[:, k] == 0)[0]) for k in keywords])
    while True:
        best_value, best = 0.0, None
        for k in keywords:
            for row in range(rows[k]):
                cost, gain = wrong[row, k] - wrong[rows[k], k], hits[row, k] - hits[rows[k], k]
                if 0 < cost <= budget and gain / cost > best_value:
                    best_value, best = gain / cost, (k, row, int(cost))
        if best is None:
            break
        rows[best[0]], budget = best[1], budget - best[2]
    highest = [int(np.flatnonzero(hits[:, k] == hits[rows[k], k])[-1]) for k in keywords]
    middle = [(row + top) // 2 for row, top in zip(rows, highest, strict=True)]
    chosen: NDArray[np.float64] = np.append(grid, NEVER)[middle]
    return chosen


def _from_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts [rows + 1, keywords] that never rise with the threshold; the last row is NEVER's.

    A higher threshold now and then counts more, where an event moves out of another's refractory time.
    """
    with_never = np.vstack([counts, np.zeros((1, counts.shape[1]), np.int64)])
    monotonic: NDArray[np.int64] = np.maximum.accumulate(with_never[::-1], axis=0)[::-1]
    return monotonic
