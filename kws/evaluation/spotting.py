"""A model's streams from end to end: thresholds chosen on one half of the voices, results on the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.detector import Point, Rules
from kws.evaluation.events import Outcome, confusions, list_outcomes, loudest, peaks
from kws.evaluation.operating_points import choose_points, summarise_points
from kws.evaluation.streams import Stream
from kws.evaluation.summary import by_condition, by_voice, det_points, score_histogram, summarise_streams
from kws.evaluation.sweep import GRID, Heard, Tally, tally, uniform

LOUDEST = 12
"""False accepts to name where thresholds are chosen."""


@dataclass(frozen=True)
class Spotting:
    """What was found, nothing without a stream; the tables are lists of rows."""

    thresholds: NDArray[np.float64]
    """of each keyword"""
    points: list[Point] = field(default_factory=list)
    """what other rates would take"""
    summary: dict[str, Any] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    loudest: list[Outcome] = field(default_factory=list)
    """false accepts where thresholds were chosen, the highest scores first: what keeps the thresholds up"""
    det: list[dict[str, float]] = field(default_factory=list)
    histogram: list[dict[str, float]] = field(default_factory=list)
    timeline: list[dict[str, Any]] = field(default_factory=list)
    """moving averages in the stream with most hits, the first one where nothing is hit"""


def evaluate_streams(
    streams: Sequence[Stream],
    heard: list[Heard],
    keywords: list[str],
    rules: Rules,
    window_s: float,
    target_fa_per_hour: float,
) -> Spotting:
    """Choose thresholds on the streams for tuning and measure on the others, which no choice has seen."""
    swept = tally(heard, keywords, rules, window_s, uniform(GRID, keywords))
    tuning = [index for index, stream in enumerate(streams) if stream.tuning]
    report = [index for index, stream in enumerate(streams) if not stream.tuning]
    chosen_on = tuning or report
    tuned = swept.of(chosen_on)
    choice, points = choose_points(tuned, GRID, target_fa_per_hour)
    on = choice.on
    swept = tally(heard, keywords, rules, window_s, choice.rows)
    reported = [heard[index] for index in report]
    chosen = tally(reported, keywords, rules, window_s, on[None])
    tallied = tally(reported, keywords, rules, window_s, np.stack(list(points.values())))
    outcomes = [
        outcome
        for index in report
        for outcome in list_outcomes(streams[index].name, heard[index], keywords, rules, window_s, on)
    ]
    groups = [streams[index].group for index in report]
    summary = summarise_streams(swept.of(report), chosen, outcomes, groups, keywords)
    summary |= {
        "tuning_hours": float(swept.of(tuning).hours.sum()),
        "threshold": _named(keywords, on),
        "expected_fa_per_hour_interval": choice.fa_per_hour_interval,
        "points": summarise_points(list(points), tallied, groups),
        "apart": {keywords[index]: per_hour for index, per_hour in choice.apart.items()},
        "voices": len({group for group, said in zip(groups, chosen.words, strict=True) if said.any()}),
        "per_voice": by_voice(chosen, groups),
        "confused": confusions(outcomes),
        "by_condition": by_condition(chosen, [streams[index].condition for index in report]),
    }
    low = uniform(GRID, keywords)[_row_of(LOUDEST, tuned)]
    loud = [
        outcome
        for index in chosen_on
        for outcome in loudest(streams[index].name, heard[index], keywords, rules, window_s, low)
    ]
    example = report[int(chosen.hits.sum(axis=(1, 2)).argmax())]
    return Spotting(
        on,
        [Point(rate, _named(keywords, thresholds)) for rate, thresholds in points.items()],
        summary,
        outcomes,
        sorted(loud, key=lambda outcome: -outcome.score)[:LOUDEST],
        det_points(swept.of(report), GRID),
        score_histogram(peaks(reported, keywords, rules, window_s)),
        _timeline(streams[example].name, heard[example], keywords, rules, window_s),
    )


def _named(keywords: list[str], on: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(keywords, map(float, on), strict=True))


def _row_of(false_accepts: int, swept: Tally) -> int:
    """Return the highest row with so many false accepts, or else the one with most."""
    wrong = swept.false_accepts.sum(axis=(0, 2))
    return int(np.flatnonzero(wrong >= min(false_accepts, wrong.max()))[-1])


def _timeline(
    name: str, heard: Heard, keywords: list[str], rules: Rules, window_s: float
) -> list[dict[str, Any]]:
    return [
        {"stream": name, "time": round(index * rules.hop_ms / 1000 + window_s, 3)}
        | {keyword: round(float(score), 3) for keyword, score in zip(keywords, row, strict=True)}
        for index, row in enumerate(heard.averages)
    ]
