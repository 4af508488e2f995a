"""Hits, false accepts and near misses at many thresholds, counted in one pass of the detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kws.common.parallel import map_items
from kws.detector import Rules, Scores, Trigger
from kws.evaluation.matching import FALSE_ACCEPT, HIT, NEAR_MISS, match
from kws.evaluation.streams import Spoken

Counts = NDArray[np.int64]

GRID: NDArray[np.float64] = 1 / (1 + np.exp(-np.linspace(-4, 14, 240)))
"""Thresholds to try, evenly spaced in log-odds, ascending: what counts happens close to 1."""


@dataclass(frozen=True)
class Heard:
    """One stream as a model heard it."""

    seconds: float
    averages: NDArray[np.float64]
    """what thresholds are compared with, [windows, keywords]"""
    spoken: list[Spoken]


@dataclass(frozen=True)
class Tally:
    """Counts of each stream at each row of thresholds."""

    hits: Counts
    """[streams, rows, keywords]"""
    false_accepts: Counts
    """[streams, rows, keywords]"""
    near_accepts: Counts
    """[streams, rows, keywords]"""
    words: Counts
    """keywords spoken, [streams, keywords]"""
    near_misses: Counts
    """spoken, [streams]"""
    hours: NDArray[np.float64]
    """[streams]"""

    def of(self, streams: Sequence[int]) -> "Tally":
        """Return the counts of some of the streams."""
        index = list(streams)
        return Tally(
            self.hits[index],
            self.false_accepts[index],
            self.near_accepts[index],
            self.words[index],
            self.near_misses[index],
            self.hours[index],
        )

    @property
    def fa_per_hour(self) -> NDArray[np.float64]:
        """False accepts an hour at each row; near misses are not among them."""
        rate: NDArray[np.float64] = self.false_accepts.sum(axis=(0, 2)) / self.hours.sum()
        return rate

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the keywords hit at each row."""
        share: NDArray[np.float64] = self.hits.sum(axis=(0, 2)) / max(1, self.words.sum())
        return share

    def row_at(self, fa_per_hour: float) -> int | None:
        """Return the row of best recall among the highest ones, down to where this rate is exceeded, if any.

        Rows are thresholds in ascending order. At the lowest of them a detector never falls silent, so it
        never fires again: few false accepts there are no merit.
        """
        above = np.flatnonzero(self.fa_per_hour > fa_per_hour)
        first = int(above[-1]) + 1 if len(above) else 0
        return first + int(self.recall[first:].argmax()) if first < len(self.recall) else None


def tally(streams: list[Heard], keywords: list[str], rules: Rules, window_s: float, on: Scores) -> Tally:
    """Run the detector over streams with thresholds `on`, [rows, keywords], and count what fires."""
    work = partial(_counts, keywords, rules, window_s, on)
    counts = np.array(list(map_items(work, streams)), np.int64).reshape(-1, 3, *on.shape)
    words = [[sum(s.label == k for s in stream.spoken) for k in keywords] for stream in streams]
    near_misses = [sum(s.label not in keywords for s in stream.spoken) for stream in streams]
    hours = np.array([stream.seconds for stream in streams]) / 3600
    hits, false_accepts, near_accepts = counts.swapaxes(0, 1)
    return Tally(hits, false_accepts, near_accepts, np.array(words), np.array(near_misses), hours)


def _counts(keywords: list[str], rules: Rules, window_s: float, on: Scores, stream: Heard) -> Counts:
    """Return hits, false accepts and accepted near misses of a stream, [3, rows, keywords]."""
    fired = Trigger(rules, on).push(stream.averages)
    found = match(fired, fired.ends(rules, window_s), stream.spoken, keywords)
    counts = np.zeros((3, *on.shape), np.int64)
    for count, outcome in zip(counts, (HIT, FALSE_ACCEPT, NEAR_MISS), strict=True):
        which = found.outcome == outcome
        np.add.at(count, (fired.row[which], fired.keyword[which]), 1)
    return counts


def uniform(thresholds: Scores, keywords: list[str]) -> Scores:
    """Return rows in which all keywords have the same threshold, [rows, keywords]."""
    return np.repeat(thresholds[:, None], len(keywords), axis=1)
