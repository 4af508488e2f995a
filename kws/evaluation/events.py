"""Every word and every event of a stream, for eyes and ears: hits, misses, false accepts, near misses."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kws.detector import Rules, Trigger
from kws.evaluation.matching import GRACE_S, HIT, NEAR_MISS, match
from kws.evaluation.sweep import Heard

Kind = Literal["hit", "miss", "false accept", "near miss"]


@dataclass(frozen=True)
class Outcome:
    """One event, or one word without an event; times in seconds."""

    stream: str
    kind: Kind
    said: str
    """label, empty for a false accept"""
    heard: str
    """label, empty for a miss"""
    start: float
    end: float
    """of the word, or of the window of a false accept"""
    score: float
    """moving average that fired, or the highest one of a missed word"""
    latency: float | None
    """from the end of the word to the event, of a hit"""


@dataclass(frozen=True)
class Peaks:
    """The highest moving average in each keyword, near miss and other second of streams."""

    keywords: list[float]
    near_misses: list[float]
    other: list[float]


def list_outcomes(
    name: str, stream: Heard, keywords: list[str], rules: Rules, window_s: float, on: NDArray[np.float64]
) -> list[Outcome]:
    """Return what happened in a stream with thresholds `on`, [keywords], in order of time."""
    fired = Trigger(rules, on[None]).push(stream.averages)
    ends = fired.ends(rules, window_s)
    found = match(fired, ends, stream.spoken, keywords)
    outcomes = []
    for index, (end, keyword, score) in enumerate(zip(ends, fired.keyword, fired.score, strict=True)):
        heard, kind = keywords[keyword], found.outcome[index]
        if kind in (HIT, NEAR_MISS):
            said = stream.spoken[found.word[index]]
            latency = float(end - said.end) if kind == HIT else None
            text: Kind = "hit" if kind == HIT else "near miss"
            outcomes.append(
                Outcome(name, text, said.label, heard, said.start, said.end, float(score), latency)
            )
        else:
            start = float(end) - window_s
            outcomes.append(Outcome(name, "false accept", "", heard, start, float(end), float(score), None))
    for index, said in enumerate(stream.spoken):
        if said.label in keywords and index not in found.word:
            peak = _peak(stream.averages, keywords.index(said.label), said.start, said.end, rules, window_s)
            outcomes.append(Outcome(name, "miss", said.label, "", said.start, said.end, peak, None))
    return sorted(outcomes, key=lambda outcome: outcome.start)


def loudest(
    name: str, stream: Heard, keywords: list[str], rules: Rules, window_s: float, on: NDArray[np.float64]
) -> list[Outcome]:
    """Return the false accepts of a stream with thresholds `on`, each with the highest score it reached."""
    return [
        replace(o, score=_peak(stream.averages, keywords.index(o.heard), o.end, o.end, rules, window_s))
        for o in list_outcomes(name, stream, keywords, rules, window_s, on)
        if o.kind == "false accept"
    ]


def confusions(outcomes: list[Outcome]) -> list[dict[str, str | int]]:
    """Return how often one keyword was said and another one heard, the most frequent first."""
    said: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.kind in ("hit", "miss"):
            said.setdefault(outcome.stream, []).append(outcome)
    pairs = Counter(
        (word.said, wrong.heard)
        for wrong in outcomes
        if wrong.kind == "false accept"
        for word in said.get(wrong.stream, [])
        if word.said != wrong.heard and word.start <= wrong.end <= word.end + GRACE_S
    )
    return [{"said": word, "heard": heard, "n": n} for (word, heard), n in pairs.most_common()]


def peaks(streams: list[Heard], keywords: list[str], rules: Rules, window_s: float) -> Peaks:
    """Return the highest scores: a keyword's own in its interval, any keyword's elsewhere."""
    found = Peaks([], [], [])
    for stream in streams:
        average = stream.averages
        free = np.ones(len(average), bool)
        for said in stream.spoken:
            own = keywords.index(said.label) if said.label in keywords else None
            where = found.near_misses if own is None else found.keywords
            where.append(_peak(average, own, said.start, said.end, rules, window_s))
            free[_windows(said.start, said.end, rules, window_s)] = False
        highest = average.max(axis=1)
        second = max(1, round(1000 / rules.hop_ms))
        for first in range(0, len(average), second):
            part = slice(first, first + second)
            if free[part].any():
                found.other.append(float(highest[part][free[part]].max()))
    return found


def _windows(start: float, end: float, rules: Rules, window_s: float) -> slice:
    """Return the windows that end within [start, end + GRACE_S]."""
    first = int(np.ceil(round((start - window_s) * 1000 / rules.hop_ms, 6)))
    last = int(np.floor(round((end + GRACE_S - window_s) * 1000 / rules.hop_ms, 6)))
    return slice(max(0, first), max(0, last + 1))


def _peak(
    average: NDArray[np.float64], keyword: int | None, start: float, end: float, rules: Rules, window_s: float
) -> float:
    part = average[_windows(start, end, rules, window_s)]
    return float((part if keyword is None else part[:, keyword]).max(initial=0))
