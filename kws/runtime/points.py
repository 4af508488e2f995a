"""Other thresholds than a model's own: those of another rate of false accepts, and steps between rates."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from kws.common.errors import UserError
from kws.common.labels import same_folder
from kws.detector import DetectorSpec, log_odds

STEP = 0.5
"""Of the way from one operating point to the next."""
LEAST_RATE = 0.01
"""An hour; what lies below it counts as this where rates are compared by their logarithms."""


def adjusted(
    spec: DetectorSpec, fa_per_hour: float | None = None, sensitivity: Sequence[str] = ()
) -> DetectorSpec:
    """Return a detector with the thresholds of a rate, then moved by steps: `LUZ=+1`, or `+1` for all.

    Raises UserError, in one line, for a rate or a step beyond the operating points, and where there are none.
    """
    if fa_per_hour is not None:
        spec = at_rate(spec, fa_per_hour)
    for argument in sensitivity:
        spec = _moved(spec, argument)
    return spec


def at_rate(spec: DetectorSpec, fa_per_hour: float) -> DetectorSpec:
    """Return a detector with the thresholds for this many false accepts an hour.

    Between two operating points the log-odds of thresholds are interpolated in the logarithm of the rate.
    Raises UserError outside of them.
    """
    option = f"--fa-per-hour {fa_per_hour:g}"
    _check_points(spec, option)
    rates = [point.fa_per_hour for point in spec.points]
    if not rates[0] <= fa_per_hour <= rates[-1]:
        known = f"{rates[0]:g} to {rates[-1]:g}, for which the model has thresholds"
        raise UserError(f"{option}: expected {known}; another detector.target_fa_per_hour adds a rate")
    logs = np.log(np.maximum([*rates, fa_per_hour], LEAST_RATE))
    place = float(np.interp(logs[-1], logs[:-1], np.arange(len(rates))))
    if fa_per_hour in rates:
        place = rates.index(fa_per_hour)
    return replace(
        spec, on={name: _at([point.on[name] for point in spec.points], place) for name in spec.keywords}
    )


def _moved(spec: DetectorSpec, argument: str) -> DetectorSpec:
    """Return a detector with one threshold, or all, moved by the steps that an argument asks for.

    Operating points that a keyword has one threshold at count once, so that every step is one that is felt.
    """
    option = f"--sensitivity {argument}"
    found = re.fullmatch(r"(?:(?P<name>.+)=)?(?P<steps>[+-]?[0-9]{1,3})", argument, re.ASCII | re.DOTALL)
    if found is None:
        raise UserError(f"{option}: expected whole steps, as {spec.keywords[0]}=+1, or +1 for all")
    _check_points(spec, option)
    steps, name = int(found["steps"]), found["name"]
    names = [k for k in spec.keywords if name is None or same_folder(k) == same_folder(name)]
    if not names:
        raise UserError(f"{option}: no such keyword; expected {' '.join(spec.keywords)}")
    ladders = {k: sorted({p.on[k] for p in spec.points if p.on[k] <= 1}, reverse=True) for k in names}
    heard = {k: ladder for k, ladder in ladders.items() if ladder}
    if not heard:
        raise UserError(f"{option}: {' '.join(names)} never fires at any operating point; record it again")
    return replace(spec, on=spec.on | {k: _step(k, spec.on[k], heard[k], steps, option) for k in heard})


def _step(keyword: str, on: float, ladder: list[float], steps: int, option: str) -> float:
    """Return a threshold so many steps further down a ladder of them, which descends."""
    place = _place(on, ladder)
    if place is None:
        known = f"that operating points have, {ladder[-1]:.4g} to {ladder[0]:.4g}; add --fa-per-hour"
        raise UserError(f"{option}: the threshold of {keyword}, {on:.4g}, is none {known}")
    least, most = math.ceil(-place / STEP), math.floor((len(ladder) - 1 - place) / STEP)
    if not least <= steps <= most:
        there = f"expected {least:+d} to {most:+d}" if least < most else "expected no step"
        raise UserError(f"{option}: {there}, which is as far as the operating points of {keyword} go")
    return _at(ladder, place + STEP * steps)


def _place(on: float, ladder: list[float]) -> float | None:
    """Return where a threshold lies among others, descending, in steps of one; None where it does not."""
    if on > 1:  # a keyword that never fires begins with its highest threshold
        return -STEP
    if on in ladder:
        return ladder.index(on)
    for index, (higher, lower) in enumerate(pairwise(ladder)):
        if higher > on > lower:
            if not (lower > 0 and higher < 1):
                return index + STEP
            share = (log_odds(higher) - log_odds(on)) / (log_odds(higher) - log_odds(lower))
            return index + round(share, 6)  # a step back leads to where the step came from
    return None


def _at(thresholds: Sequence[float], place: float) -> float:
    """Return the threshold at a place between others; the higher of two of which one has no log-odds."""
    first = math.floor(place)
    higher, share = thresholds[first], place - first
    if not share:
        return higher
    lower = thresholds[first + 1]
    if lower == higher or not (lower > 0 and higher < 1):
        return higher
    odds = (1 - share) * log_odds(higher) + share * log_odds(lower)
    return round(1 / (1 + math.exp(-odds)), 12)  # one number, whoever's logarithm it was


def _check_points(spec: DetectorSpec, option: str) -> None:
    if not spec.points:
        raise UserError(f"{option}: the detector has no operating points, as no stream was evaluated")
