"""What a model's scores come to: the sections of reports/metrics.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kws.common.types import Logits
from kws.detector import Scores
from kws.evaluation.events import Outcome, Peaks
from kws.evaluation.intervals import rate_interval, share_interval
from kws.evaluation.recordings import EvalSet
from kws.evaluation.sweep import Tally
from kws.evaluation.words import accepted, score_words, share_above, thresholds_at_recall

RECALLS = (0.5, 0.7, 0.9)
"""Recalls of words at which near misses are compared."""
FA_PER_HOUR = (10, 1, 0.5, 0.1)
"""Rates of false accepts at which recall is reported."""


def summarise_words(logits: Logits, words: EvalSet, labels: list[str]) -> dict[str, Any]:
    """Return `score_words` with the number of voices and the interval of its accuracy."""
    hits = (logits.argmax(axis=1) == words.labels).astype(np.int64)
    interval = share_interval(hits, np.ones_like(hits), words.voices)
    return score_words(logits, words.labels, labels) | {
        "voices": len(set(words.voices)),
        "interval": interval,
    }


def summarise_near_misses(
    logits: Logits, near_misses: EvalSet, word_logits: Logits, words: EvalSet, keywords: list[int]
) -> dict[str, Any]:
    """Return the share of near misses whose likeliest label is a keyword, and the shares at equal recall.

    Models with different scores compare at equal recall: at the highest threshold that reaches each recall of
    words, the share of near misses in which any keyword reaches it. Without words there is none.
    """
    wrong = accepted(logits, keywords).astype(np.int64)
    thresholds = thresholds_at_recall(word_logits, words.labels, keywords, RECALLS) if len(words) else {}
    return {
        "n": len(near_misses),
        "voices": len(set(near_misses.voices)),
        "false_accept_rate": float(np.mean(wrong)),
        "interval": share_interval(wrong, np.ones_like(wrong), near_misses.voices),
        "at_recall": {f"{r:g}": share_above(logits, keywords, t) for r, t in thresholds.items()},
    }


def summarise_streams(
    swept: Tally, chosen: Tally, outcomes: list[Outcome], groups: Sequence[str], keywords: list[str]
) -> dict[str, Any]:
    """Return what the detector did on streams that no threshold was chosen on.

    `swept` has a row a threshold, `chosen` the one row of the chosen thresholds, `outcomes` what it did.
    """
    hits, words = chosen.hits[:, 0], chosen.words
    false_accepts, near = chosen.false_accepts[:, 0], chosen.near_accepts[:, 0].sum(1)
    latency = [1000 * o.latency for o in outcomes if o.latency is not None]
    summary: dict[str, Any] = {"hours": float(chosen.hours.sum()), "keywords": int(words.sum())}
    if words.sum():
        by_keyword = [h / n for h, n in zip(hits.sum(0), words.sum(0), strict=True) if n]
        summary |= {
            "recall": float(chosen.recall[0]),
            "recall_interval": share_interval(hits.sum(1), words.sum(1), groups),
            "macro_recall": float(np.mean(by_keyword)),
        }
    summary |= {
        "fa_per_hour": float(chosen.fa_per_hour[0]),
        "fa_per_hour_interval": rate_interval(false_accepts.sum(1), chosen.hours, groups),
    }
    if words.sum():
        rows = {f"{rate:g}": swept.row_at(rate) for rate in FA_PER_HOUR}
        known = {rate: row for rate, row in rows.items() if row is not None}
        summary["recall_at_fa_per_hour"] = {
            rate: float(swept.recall[row]) if row is not None else 0.0 for rate, row in rows.items()
        }
        summary["recall_at_fa_per_hour_interval"] = {
            rate: share_interval(swept.hits[:, row].sum(1), words.sum(1), groups)
            for rate, row in known.items()
        }
    if chosen.near_misses.sum():
        summary["near_misses"] = {
            "n": int(chosen.near_misses.sum()),
            "false_accept_rate": float(near.sum() / chosen.near_misses.sum()),
            "interval": share_interval(near, chosen.near_misses, groups),
        }
    if latency:
        summary["latency_ms"] = {f"p{q}": float(np.percentile(latency, q)) for q in (50, 95)}
    summary["per_keyword"] = {
        keyword: {"n": int(words[:, k].sum()), "hits": int(hits[:, k].sum()), "false_accepts": int(wrong)}
        for k, (keyword, wrong) in enumerate(zip(keywords, false_accepts.sum(0), strict=True))
    }
    return summary


def by_condition(chosen: Tally, conditions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return hours, recall and false accepts an hour of each condition, at the chosen thresholds."""
    summary = {}
    for name in dict.fromkeys(conditions):
        part = chosen.of([index for index, condition in enumerate(conditions) if condition == name])
        recall = {"recall": float(part.recall[0])} if part.words.sum() else {}
        rates = {"hours": float(part.hours.sum()), "fa_per_hour": float(part.fa_per_hour[0])}
        summary[name] = rates | recall
    return summary


def by_voice(chosen: Tally, groups: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many keywords each voice says and how many are hit, at the chosen thresholds."""
    hits, words = chosen.hits[:, 0].sum(1), chosen.words.sum(1)
    summary = {}
    for name in dict.fromkeys(groups):
        own = [index for index, group in enumerate(groups) if group == name]
        if words[own].any():
            summary[name] = {"n": int(words[own].sum()), "hits": int(hits[own].sum())}
    return summary


def det_points(swept: Tally, grid: Scores) -> list[dict[str, float]]:
    """Return the points of the detection error trade-off: from the highest threshold down, what hears more.

    A logarithmic axis has no 0: a rate of 0 is drawn at half a false accept in all the hours. Without words
    there is nothing to trade.
    """
    if not swept.words.any():
        return []
    floor = 0.5 / float(swept.hours.sum())
    near = swept.near_accepts.sum(axis=(0, 2)) / max(1, swept.near_misses.sum())
    best: dict[float, dict[str, float]] = {}
    for row in range(len(grid))[::-1]:
        rate, miss_rate = max(float(swept.fa_per_hour[row]), floor), 1 - float(swept.recall[row])
        if miss_rate < min((p["miss_rate"] for p in best.values()), default=1.1) and rate >= max(
            best, default=0
        ):
            best[rate] = {
                "threshold": float(grid[row]),
                "fa_per_hour": rate,
                "miss_rate": miss_rate,
                "near_miss_rate": float(near[row]),
            }
    return list(best.values())


def score_histogram(found: Peaks, bins: int = 20) -> list[dict[str, float]]:
    """Return the share of keywords, near misses and other seconds of the streams in each bin of scores."""
    edges = np.linspace(0, 1, bins + 1)
    shares = {
        name: np.histogram(np.clip(values, 0, 1), edges)[0] / max(1, len(values))
        for name, values in (
            ("keyword", found.keywords),
            ("near_miss", found.near_misses),
            ("other", found.other),
        )
    }
    return [
        {"score": float(left)} | {name: float(share[i]) for name, share in shares.items()}
        for i, left in enumerate(edges[:-1])
    ]
