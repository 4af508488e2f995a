"""Thresholds such that all keywords together stay below a rate of false accepts."""

import math
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


TAIL = 10
"""False accepts that a rate is told by, the highest ones; fewer tell too little of how they thin out."""
DRAWN = 0.5
"""Share of what a keyword's false accepts tell of its threshold; the rest is common to all."""
RESAMPLED = 400


@dataclass(frozen=True)
class Choice:
    """What was chosen."""

    on: NDArray[np.float64]
    """threshold of each keyword"""
    rows: NDArray[np.float64]
    """thresholds of each keyword that belong to those of the grid, [rows, keywords]; `on` is one of them"""
    apart: dict[int, float]
    """keywords that are left out of what is common: their false accepts an hour where others are silent"""
    fa_per_hour_interval: list[float] | None
    """95 % interval of the rate to be expected on other streams; None where too little was heard"""


def choose_thresholds(swept: Tally, grid: NDArray[np.float64], target_fa_per_hour: float) -> Choice:
    """Return thresholds for `target_fa_per_hour` on other streams, of any length.

    `swept` has a row for each threshold of `grid`, ascending, the same for all keywords. The threshold of
    each lies higher than a common one, in log-odds, by half of what its own false accepts are louder than
    others' (`_offsets`). The few loudest ones choose what is common alone, so none is passed once for each.
    It is where the rate of false accepts comes down to the target, read off their number where that is TAIL
    or more, and otherwise off the line that the TAIL highest ones tell (`_threshold`). So a rate can be asked
    for that the hours are too short to count; the interval, from streams drawn anew, says how sure that is.
    Where no word is said, near misses count as false accepts, since nobody can say how many words it costs
    to keep them out.

    Where there are fewer than TAIL false accepts at any threshold, or none may occur, it lies halfway, in the
    grid's steps, between the lowest that keeps silent and the highest that hears as much.

    A keyword that fires LOUD times, and more than LOUD_PER_HOUR, where the quieter half of them keeps silent
    would take the others with it: it has the lowest threshold at which it keeps silent itself, which may be
    NEVER.
    """
    hours = float(swept.hours.sum())
    false, hits = swept.false_accepts.sum(axis=0), swept.hits.sum(axis=0)
    own = np.array([_lowest(counts) for counts in false.T])
    quieter = np.argsort(own, kind="stable")[: (len(own) + 1) // 2]
    there = _lowest(false[:, quieter].sum(axis=1))
    fires = np.array([_from_above(counts)[there] for counts in false.T])
    per_hour = fires / hours
    apart = (own == len(grid)) | ((per_hour > LOUD_PER_HOUR) & (fires >= LOUD))
    each = swept.false_accepts if swept.words.any() else swept.false_accepts + swept.near_accepts
    offsets = _offsets(each.sum(axis=0), apart)
    wrong = _moved(each, offsets)[:, :, ~apart].sum(axis=2)
    odds = np.log(grid / (1 - grid))
    together, interval = _from_above(wrong.sum(axis=0)), None
    if together[0] < TAIL or not target_fa_per_hour:
        lowest = _lowest(wrong.sum(axis=0))
        heard = _from_above(_moved(hits[None], offsets)[0][:, ~apart].sum(axis=1))
        highest = int(np.flatnonzero(heard == heard[lowest])[-1]) if heard[lowest] else lowest
        row = (lowest + highest) // 2
    else:
        row = int(np.searchsorted(odds, _threshold(together, odds, target_fa_per_hour * hours)))
        interval = _interval(wrong, odds, row, swept.hours)
    thresholds = np.append(grid, NEVER)
    rows = np.stack([_shifted(grid, offset) for offset in offsets], axis=1)
    rows[:, apart] = thresholds[own[apart]]
    on = rows[row] if row < len(grid) else np.where(apart, thresholds[own], NEVER)
    return Choice(on, rows, {int(k): float(per_hour[k]) for k in np.flatnonzero(apart)}, interval)


def _offsets(false: NDArray[np.int64], apart: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return by how many rows each keyword's TAIL-th false accept from above is higher than on average.

    None for a keyword that has fewer, and where that is true of all but one.
    """
    offsets = np.zeros(len(apart), np.int64)
    counts = [_from_above(one) for one in false.T]
    known = [k for k, one in enumerate(counts) if one[0] >= TAIL and not apart[k]]
    if len(known) > 1:
        last = np.array([np.flatnonzero(counts[k] >= TAIL)[-1] for k in known])
        offsets[known] = np.rint(DRAWN * (last - last.mean()))
    return offsets


def _moved(counts: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts [streams, rows, keywords] at rows that lie so many higher for each keyword."""
    rows = np.arange(counts.shape[1])[:, None] + offsets
    inside = np.clip(rows, 0, counts.shape[1] - 1)
    moved: NDArray[np.int64] = np.take_along_axis(counts, inside[None].repeat(len(counts), axis=0), axis=1)
    moved[:, rows >= counts.shape[1]] = 0
    return moved


def _shifted(grid: NDArray[np.float64], offset: int) -> NDArray[np.float64]:
    """Return the thresholds so many rows higher; the grid's own ends are its limits."""
    return grid[np.clip(np.arange(len(grid)) + offset, 0, len(grid) - 1)]


def _threshold(counts: NDArray[np.int64], odds: NDArray[np.float64], allowed: float) -> float:
    """Return the log-odds that so many false accepts exceed, given `_from_above` counts at each of `odds`.

    What exceeds a high threshold does so by an exponential law (Pickands, "Statistical Inference Using
    Extreme Order Statistics", Annals of Statistics 3, 1975; its shape is taken as 0, because a few scores do
    not tell it). Its mean is that of the highest TAIL, or as many as are allowed.
    """
    first, n, mean = _tail(counts, odds, allowed)
    return first + mean * math.log(n / allowed)


def _tail(counts: NDArray[np.int64], odds: NDArray[np.float64], allowed: float) -> tuple[float, float, float]:
    """Return where the tail begins, how many false accepts are in it, and by how much they exceed that."""
    least = min(max(TAIL, round(allowed)), int(counts[0]))
    row = int(np.flatnonzero(counts >= least)[-1])
    n, step = float(counts[row]), float(odds[1] - odds[0])
    # the lowest of them is where the tail begins: it exceeds that by nothing, and each step that lies below
    # another one counts for it
    mean = max(counts[row + 1 : -1].sum() / max(n - 1, 1), 0.5) * step
    return float(odds[row]) + step / 2, n, float(mean)


def _interval(
    wrong: NDArray[np.int64], odds: NDArray[np.float64], row: int, hours: NDArray[np.float64]
) -> list[float]:
    """Return the 95 % interval of the rate at a row, from streams resampled and their counts with them."""
    random, rates = np.random.RandomState(0), []
    at = float(np.append(odds, 2 * odds[-1] - odds[-2])[row])
    for _ in range(RESAMPLED):
        drawn = random.randint(0, len(wrong), len(wrong))
        counts, length = _from_above(wrong[drawn].sum(axis=0)), float(hours[drawn].sum())
        if not counts[0]:
            rates.append(0.0)
        elif counts[min(row, len(counts) - 1)] >= TAIL:
            rates.append(random.poisson(counts[row]) / length)
        else:
            first, n, mean = _tail(counts, odds, 0)
            # a rate told by n of them is as uncertain as their number
            rates.append(random.gamma(n) / length * min(1.0, math.exp((first - at) / mean)))
    low, high = np.quantile(rates, [0.025, 0.975])
    return [float(low), float(high)]


def _lowest(wrong: NDArray[np.int64]) -> int:
    """Return the lowest row from which on none of the counts [rows] occur."""
    return int(np.flatnonzero(_from_above(wrong) == 0)[0])


def _from_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts [rows + 1] that never rise with the threshold; the last row is NEVER's.

    A higher threshold now and then counts more, where an event moves out of another's refractory time.
    """
    monotonic: NDArray[np.int64] = np.maximum.accumulate(np.append(counts, 0)[::-1])[::-1]
    return monotonic
