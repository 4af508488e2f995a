"""A model's streams from end to end: thresholds chosen on one half of the voices, results on the other."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.detector import MovingAverage, Rules
from kws.evaluation.events import Outcome, list_outcomes, peaks
from kws.evaluation.streams import Stream
from kws.evaluation.summary import by_condition, det_points, score_histogram, summarise_streams
from kws.evaluation.sweep import GRID, Heard, tally, uniform
from kws.evaluation.thresholds import choose_thresholds


@dataclass(frozen=True)
class Spotting:
    """What was found; the tables are lists of rows."""

    thresholds: NDArray[np.float64]
    """of each keyword"""
    summary: dict[str, Any]
    outcomes: list[Outcome]
    det: list[dict[str, float]]
    histogram: list[dict[str, float]]
    timeline: list[dict[str, Any]]
    """moving averages in the stream with most hits"""


def evaluate_streams(
    streams: Sequence[Stream],
    heard: list[Heard],
    keywords: list[str],
    rules: Rules,
    window_s: float,
    target_fa_per_hour: float,
) -> Spotting:
    """Choose thresholds on the streams for tuning and measure on the others, which no choice has seen."""
    grid = uniform(GRID, keywords)
    swept = tally(heard, keywords, rules, window_s, grid)
    tuning = [index for index, stream in enumerate(streams) if stream.tuning]
    report = [index for index, stream in enumerate(streams) if not stream.tuning]
    if not tuning:
        warnings.warn("one voice alone: thresholds are measured where they were chosen", stacklevel=2)
    chosen_on = swept.of(tuning or report)
    on = choose_thresholds(chosen_on, GRID, target_fa_per_hour)
    chosen = tally([heard[index] for index in report], keywords, rules, window_s, on[None])
    outcomes = [
        outcome
        for index in report
        for outcome in list_outcomes(streams[index].name, heard[index], keywords, rules, window_s, on)
    ]
    groups = [streams[index].group for index in report]
    summary = summarise_streams(swept.of(report), chosen, outcomes, groups, keywords)
    summary |= {
        "tuning_hours": float(swept.of(tuning).hours.sum()),
        "threshold": dict(zip(keywords, map(float, on), strict=True)),
        "by_condition": by_condition(chosen, [streams[index].condition for index in report]),
    }
    example = report[int(chosen.hits.sum(axis=(1, 2)).argmax())]
    return Spotting(
        on,
        summary,
        outcomes,
        det_points(swept.of(report), GRID),
        score_histogram(peaks([heard[index] for index in report], keywords, rules, window_s)),
        _timeline(streams[example].name, heard[example], keywords, rules, window_s),
    )


def _timeline(
    name: str, heard: Heard, keywords: list[str], rules: Rules, window_s: float
) -> list[dict[str, Any]]:
    average = MovingAverage(rules.windows(rules.smooth_ms), len(keywords)).push(heard.scores)
    return [
        {"stream": name, "time": round(index * rules.hop_ms / 1000 + window_s, 3)}
        | {keyword: round(float(score), 3) for keyword, score in zip(keywords, row, strict=True)}
        for index, row in enumerate(average)
    ]
