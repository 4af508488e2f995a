"""Operating points: thresholds for several rates of false accepts, and what each of them costs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.evaluation.intervals import rate_interval, share_interval
from kws.evaluation.sweep import Tally
from kws.evaluation.thresholds import Choice, choose_thresholds

RATES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""False accepts an hour that a model has thresholds for, beside the rate that it is asked for."""


def choose_points(
    swept: Tally, grid: NDArray[np.float64], target_fa_per_hour: float
) -> tuple[Choice, dict[float, NDArray[np.float64]]]:
    """Return the choice for the target, and the thresholds [keywords] for each rate, ascending.

    A higher rate never has a higher threshold: where the choices say otherwise, what was chosen for the
    target stays, and the others give way.
    """
    rates = sorted({*RATES, float(target_fa_per_hour)})
    choices = {rate: choose_thresholds(swept, grid, rate) for rate in rates}
    target = rates.index(target_fa_per_hour)
    on = np.stack([choices[rate].on for rate in rates])
    on[target:] = np.minimum.accumulate(on[target:])
    on[: target + 1] = np.maximum.accumulate(on[target::-1])[::-1]
    return choices[target_fa_per_hour], dict(zip(rates, on, strict=True))


def summarise_points(
    rates: Sequence[float], tallied: Tally, groups: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return what each rate asked for gives in streams, of which `tallied` has a row a rate."""
    words, near_misses = tallied.words.sum(), tallied.near_misses.sum()
    summary = {}
    for row, rate in enumerate(rates):
        hits, wrong = tallied.hits[:, row].sum(1), tallied.false_accepts[:, row].sum(1)
        near = tallied.near_accepts[:, row].sum(1)
        found: dict[str, Any] = {
            "fa_per_hour": float(tallied.fa_per_hour[row]),
            "fa_per_hour_interval": rate_interval(wrong, tallied.hours, groups),
        }
        if words:
            found["recall"] = float(tallied.recall[row])
            found["recall_interval"] = share_interval(hits, tallied.words.sum(1), groups)
        if near_misses:
            found["near_miss_rate"] = float(near.sum() / near_misses)
        summary[f"{rate:g}"] = found
    return summary
