"""From scores to events: when is a keyword said to have been heard. numpy only.

What is averaged over windows is the log-odds of each keyword against the background, less a share of a level
that all keywords have in common. A keyword fires when its average, as a probability, reaches `on` and stays
there long enough, and may fire again only after it has fallen below `off` (hysteresis); after an event
nothing fires for a while (refractory time), so that one utterance gives one event.
"""

import math
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.files import write_json
from kws.common.foreign import check_labels, parse_json, read_bytes, typed
from kws.common.labels import Labelled

Scores = NDArray[np.floating]
"""Probabilities of keywords: [windows, keywords]."""

LEAST = 1e-6
"""Probability that counts for all below it: float32 ones near 1 tell no more."""
MOST = -1.0
"""Log-odds that count in a level for all above them: a keyword that is heard must not drown the next one."""
NOTHING = -6.0
"""Log-odds of all keywords before a stream begins."""

Fired = tuple[int, int, int, float]
"""Window, row, keyword and score."""


@dataclass(frozen=True)
class Rules:
    """When scores become an event; times are in milliseconds."""

    hop_ms: float
    """between windows"""
    smooth_ms: float
    """covered by the moving average"""
    hold_ms: float
    """for which the average must stay at `on` or above"""
    refractory_ms: float
    """after an event, in which nothing fires"""
    release: float
    """`off` as a share of `on`"""
    level_ms: float
    """time constant of the level: the mean log-odds, against the background, of all keywords"""
    level_share: float
    """of the level, which is taken from the log-odds of each keyword; 0: none"""

    def windows(self, ms: float) -> int:
        """Return how many windows a time spans, one at least."""
        return max(1, round(ms / self.hop_ms))


@dataclass(frozen=True)
class Triggers:
    """What fired, in order of time; one entry each."""

    window: NDArray[np.int64]
    row: NDArray[np.int64]
    """of the thresholds"""
    keyword: NDArray[np.int64]
    score: NDArray[np.float64]
    """the moving average that fired"""

    def ends(self, rules: Rules, window_s: float) -> NDArray[np.floating]:
        """Return when each of them was known, in seconds: the end of its window."""
        ends: NDArray[np.floating] = self.window * (rules.hop_ms / 1000) + window_s
        return ends


@dataclass(frozen=True)
class Event:
    """A keyword that was heard in the window from `start` to `end`, in seconds; it is known at `end`."""

    label: str
    start: float
    end: float
    score: float


def log_odds(probability: float) -> float:
    """Return the natural logarithm of the odds of a probability between 0 and 1: how scores are compared."""
    return math.log(probability) - math.log1p(-probability)


class Averages:
    """What thresholds are compared with: means of log-odds over the last windows, as probabilities.

    The odds are those of a keyword against the background alone, so a keyword loses nothing to another one
    that is like it. Speech that is like no keyword in particular is a little like all of them: the level is
    what the keywords get anyway, over a moment. Taking it away is the T-norm of Auckenthaler, Carey and
    Lloyd-Thomas, "Score Normalization for Text-Independent Speaker Verification Systems", Digital Signal
    Processing 10 (2000), with the keywords, each included, as the others.
    """

    def __init__(self, rules: Rules, keywords: int) -> None:
        """Start a stream at time 0."""
        self._pace, self._share = 1 - math.exp(-rules.hop_ms / rules.level_ms), rules.level_share
        self._level: float | None = None
        self._recent = np.full((rules.windows(rules.smooth_ms) - 1, keywords), NOTHING)

    def push(self, scores: Scores) -> NDArray[np.float64]:
        """Return the averages at the next windows, [n, keywords]."""
        span = len(self._recent) + 1
        known = np.concatenate([self._recent, self._odds(scores.astype(np.float64))])
        self._recent = known[len(scores) :]
        # added in this order whatever the chunking, so that every chunking rounds alike
        mean = sum((known[i : i + len(scores)] for i in range(span)), np.zeros(scores.shape)) / span
        likely: NDArray[np.float64] = 1 / (1 + np.exp(-mean))
        return likely

    def _odds(self, likely: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log-odds less their level, [n, keywords]."""
        background = 1 - likely.sum(axis=1, keepdims=True)
        odds = np.log(np.maximum(likely, LEAST)) - np.log(np.maximum(background, LEAST))
        levels = np.empty_like(background)
        for index, mean in enumerate(np.minimum(odds, MOST).mean(axis=1)):
            last = mean if self._level is None else self._level
            self._level = last + self._pace * (mean - last)
            levels[index] = self._level
        left: NDArray[np.float64] = odds - self._share * levels
        return left


class Trigger:
    """The detector's state machine, for several rows of thresholds at once: a sweep is a single pass."""

    def __init__(self, rules: Rules, on: Scores) -> None:
        """Take thresholds `on`, [rows, keywords]."""
        self._on, self._off = on, rules.release * on
        self._hold, self._rest = rules.windows(rules.hold_ms), rules.windows(rules.refractory_ms)
        self._held = np.zeros(on.shape, np.int64)
        self._armed = np.ones(on.shape, bool)
        self._resting_until = np.zeros(len(on), np.int64)
        self._time = 0

    def push(self, averages: NDArray[np.float64]) -> Triggers:
        """Return what fires in the next windows, given their averages, [n, keywords]."""
        fired: list[Fired] = []
        for average in averages:
            high = average >= self._on
            self._held = (self._held + 1) * high
            self._armed |= average < self._off
            if high.any():
                fired += self._fire(average, high & self._armed & (self._held >= self._hold))
            self._time += 1
        window, row_, keyword_, score = zip(*fired, strict=True) if fired else ((), (), (), ())
        return Triggers(
            np.array(window, np.int64),
            np.array(row_, np.int64),
            np.array(keyword_, np.int64),
            np.array(score, np.float64),
        )

    def _fire(self, average: NDArray[np.float64], ready: NDArray[np.bool_]) -> list[Fired]:
        """Let the highest of the keywords that are ready fire, one a row."""
        ready &= (self._resting_until <= self._time)[:, None]
        rows = np.flatnonzero(ready.any(axis=1))
        keywords = np.where(ready[rows], average, -1).argmax(axis=1)
        self._armed[rows, keywords] = False
        self._resting_until[rows] = self._time + self._rest
        return [
            (self._time, int(row), int(k), float(average[k])) for row, k in zip(rows, keywords, strict=True)
        ]


@dataclass(frozen=True)
class Point:
    """An operating point: the thresholds that were chosen for one rate of false accepts."""

    fa_per_hour: float
    on: dict[str, float]
    """threshold of each keyword; above 1, it never fires"""


@dataclass(frozen=True)
class DetectorSpec(Labelled):
    """models/detector.json: all that turns probabilities into events."""

    labels: list[str]
    """in the order of the model's outputs"""
    background: str
    window_s: float
    rules: Rules
    on: dict[str, float]
    """threshold of each keyword; above 1, it never fires"""
    points: list[Point] = field(default_factory=list)
    """what other rates would take, ascending; a file must say, if only that there are none"""


def write_spec(path: Path, spec: DetectorSpec) -> None:
    """Write a detector as JSON."""
    write_json(path, asdict(spec))


RANGES: dict[str, tuple[float, float]] = {
    "hop_ms": (1, 1000),
    "smooth_ms": (0, 5000),
    "hold_ms": (0, 5000),
    "refractory_ms": (0, 60000),
    "release": (0, 1),
    "level_ms": (1e-3, 60000),
    "level_share": (0, 1),
}
"""Of the rules in a file, whoever wrote it; `detector` in params.yaml is as wide."""
MOST_PER_HOUR = 3600.0
"""False accepts, as in `detector.target_fa_per_hour`."""
HIGHEST = 2.0
"""A threshold; no average reaches it."""


def read_spec(path: Path) -> DetectorSpec:
    """Read a detector that `write_spec` wrote. Raises UserError where it is none, or no sound one."""
    try:
        spec = typed(DetectorSpec, parse_json(read_bytes(path)))
        _check(spec)
    except ValueError as error:
        raise UserError(f"{path}: not a detector of this version ({error}); make it again") from error
    return spec


def _check(spec: DetectorSpec) -> None:
    """Raise ValueError where names, rules or thresholds cannot be."""
    check_labels(spec.labels)
    if spec.background not in spec.labels or not spec.keywords:
        raise ValueError(f"labels holds {' '.join(spec.labels)[:300]}, expected keywords and the background")
    values = [(f"rules.{name}", getattr(spec.rules, name), bounds) for name, bounds in RANGES.items()]
    sets = [("", spec.on), *((f"points[{index}].", point.on) for index, point in enumerate(spec.points))]
    values += [(f"{where}on.{name}", on[name], (0, HIGHEST)) for where, on in sets for name in on]
    rates = [(f"points[{index}].fa_per_hour", point.fa_per_hour) for index, point in enumerate(spec.points)]
    values += [(name, rate, (0, MOST_PER_HOUR)) for name, rate in rates]
    for name, value, (low, high) in values:
        if not low <= value <= high:
            raise ValueError(f"{name} is {value:g}, expected {low:g} to {high:g}")
    for where, on in sets:
        if missing := [keyword for keyword in spec.keywords if keyword not in on]:
            raise ValueError(f"no threshold for {' '.join(missing)}{' in ' * bool(where)}{where.strip('.')}")
    for index, (point, after) in enumerate(pairwise(spec.points), 1):
        there = f"points[{index}]"
        if not point.fa_per_hour < after.fa_per_hour:
            raise ValueError(f"{there}.fa_per_hour is {after.fa_per_hour:g}, expected ascending rates")
        if higher := [keyword for keyword in spec.keywords if after.on[keyword] > point.on[keyword]]:
            raise ValueError(f"{there}.on.{higher[0]} is higher than at a lower rate, expected no more")


class Detector:
    """Events of a stream, the same ones for any chunking."""

    def __init__(self, spec: DetectorSpec) -> None:
        """Start a stream at time 0."""
        self._spec = spec
        self._trigger = Trigger(spec.rules, np.array([[spec.on[keyword] for keyword in spec.keywords]]))

    def push(self, averages: NDArray[np.float64]) -> list[Event]:
        """Return the events that end in the next windows, given their averages, [n, keywords]."""
        fired = self._trigger.push(averages)
        ends = fired.ends(self._spec.rules, self._spec.window_s)
        return [
            Event(self._spec.keywords[keyword], float(end - self._spec.window_s), float(end), float(score))
            for keyword, end, score in zip(fired.keyword, ends, fired.score, strict=True)
        ]
