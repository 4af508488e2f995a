"""Detectors on words of people: `python -m benchmarks.detector [--encoder FILE] [--half choose]`.

One person recorded each keyword once; others of the same half of the speakers say them, and other words, in
streams (`benchmarks/heard.py`, which keeps in the folder `--cache` what takes long: some ten minutes).
Thresholds are chosen for one false accept an hour on half of three hours of talk, and false accepts counted
in the other half. The baseline is the detector before: averages of probabilities, less what their level
exceeds a floor by, and thresholds at which one false accept fewer occurs than the target allows. With
`--voices FOLDER`, laid out as data.voices, or `--others N`, so many further people, who are not tested then,
these say the keywords too, to train on; the baseline is the one person alone.

recall: words heard as what they are; clean, 10dB: of them. near_misses: other words that fire. confused:
other events, of all words. asked_R: false accepts an hour where R were asked for, the median over twenty
random halves of the talk's files. hop: time of the detector alone, with ten keywords.
"""

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import numpy as np
from numpy.typing import NDArray

from benchmarks.heard import DATA, SETS, SOURCES, Bench, Sounding
from benchmarks.people import HALVES, ROOT
from docs.people import WAKE
from kws.detector import Averages, Detector, DetectorSpec, Rules, Scores
from kws.evaluation.sweep import GRID, Heard, Tally, tally, uniform
from kws.evaluation.thresholds import choose_thresholds
from kws.models.prototypes import SCALE
from kws.runtime.inference import softmax

TARGETS, TARGET, DRAWS = (0.5, 1.0, 2.0, 10.0), 1.0, 20
WINDOW_S = 1.0
NAMES = {"recordings": "fsdd"}

Average = Callable[[Scores], NDArray[np.float64]]
Choose = Callable[[Tally, float], NDArray[np.float64]]


def former(scores: Scores, rules: Rules, floor: float = -7) -> NDArray[np.float64]:
    """Return the averages of the detector before."""
    likely = scores.astype(np.float64)
    any_ = likely.sum(axis=1, keepdims=True)
    odds = np.log(np.maximum(likely, 1e-6)) - np.log(np.maximum(1 - any_, 1e-6))
    level, levels = floor, np.empty_like(any_)
    for index, mean in enumerate(np.minimum(odds, -2).mean(axis=1)):
        level += (1 - math.exp(-rules.hop_ms / 1000)) * (mean - level)
        levels[index] = level
    kept = np.exp(-np.maximum(levels - floor, 0))
    left = np.concatenate([np.zeros((4, likely.shape[1])), likely * kept / (1 - (1 - kept) * any_)])
    mean: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(left, 5, axis=0).mean(axis=-1)
    return mean


def former_choice(swept: Tally, target: float) -> NDArray[np.float64]:
    """Return the lowest threshold at which one false accept fewer occurs than the target allows."""
    counts = swept.false_accepts.sum(axis=(0, 2))
    from_above = np.maximum.accumulate(counts[::-1])[::-1]
    silent = np.flatnonzero(from_above <= max(0, int(target * swept.hours.sum()) - 1))
    return np.full(swept.false_accepts.shape[2], GRID[silent[0]] if len(silent) else 2.0)


def measured(
    talk: list[Heard], said: list[tuple[str, Heard]], keywords: list[str], rules: Rules, choose: Choose
) -> dict[str, float]:
    """Return all that is printed of one source."""
    swept = tally(talk, keywords, rules, WINDOW_S, uniform(GRID, keywords))
    halves = (range(1, len(talk), 2), range(0, len(talk), 2))
    on = choose(swept.of(halves[0]), TARGET)
    found = tally([heard for _, heard in said], keywords, rules, WINDOW_S, on[None])
    places = np.array([place for place, _ in said])
    hits, words = found.hits.sum(axis=(1, 2)), found.words.sum(axis=1)
    near = [s for _, h in said for s in h.spoken if s.label not in keywords]
    figures = {
        "recall": hits.sum() / words.sum(),
        **{p: hits[places == p].sum() / words[places == p].sum() for p in sorted(set(places))},
        "confused": found.false_accepts.sum() / words.sum(),
        "fa_per_hour": rate(swept.of(halves[1]), on),
    }
    if near:
        figures["near_misses"] = found.near_accepts.sum() / len(near)
    for target in TARGETS:
        given = []
        for draw in range(DRAWS):
            order = np.random.default_rng(draw).permutation(len(talk))
            half = len(order) // 2
            given.append(rate(swept.of(order[half:]), choose(swept.of(order[:half]), target)))
        figures[f"asked_{target:g}"] = np.median(given)
    return {name: float(value) for name, value in figures.items()}


def rate(swept: Tally, on: NDArray[np.float64]) -> float:
    """Return false accepts an hour at thresholds of the grid, each keyword's counted at its own."""
    rows = np.searchsorted(GRID, on - 1e-12)
    counts = np.append(swept.false_accepts.sum(axis=0), np.zeros((1, len(on))), axis=0)
    return float(counts[rows, np.arange(len(on))].sum() / swept.hours.sum())


def heard_by(
    stream: Sounding,
    keywords: list[str],
    prototypes: NDArray[np.float32],
    background: NDArray[np.float32],
    average: Average,
) -> Heard:
    """Return a stream as a head and a detector hear it; other words become near misses."""
    near = (SCALE * stream.directions @ background.T).max(axis=1)
    logits = np.column_stack([SCALE * stream.directions @ prototypes.T, near])
    spoken = [s if s.label in keywords else replace(s, label="FONDO") for s in stream.spoken]
    return Heard(stream.seconds, average(softmax(logits)[:, :-1]), spoken)


def hop_ms(rules: Rules, keywords: int = 10, hops: int = 2000) -> float:
    """Return the time of one hop."""
    labels = [f"K{i}" for i in range(keywords)]
    spec = DetectorSpec([*labels, "FONDO"], "FONDO", WINDOW_S, rules, dict.fromkeys(labels, 0.5))
    averages, detector = Averages(rules, keywords), Detector(spec)
    scores = np.random.default_rng(0).random((hops, 1, keywords), np.float32) / keywords
    begin = time.perf_counter()
    for row in scores:
        detector.push(averages.push(row))
    return 1000 * (time.perf_counter() - begin) / hops


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "kws-heard")
    parser.add_argument("--encoder", type=Path, default=ROOT / "data/encoder/encoder.pt")
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--others", type=int, default=0)
    asked = parser.parse_args()
    if not DATA.is_dir():
        return
    bench = Bench(asked.encoder, asked.cache, asked.voices, asked.others)
    rules = bench.params.detector.rules
    now: tuple[Average, Choose] = (
        lambda scores: Averages(rules, scores.shape[1]).push(scores),
        lambda swept, target: choose_thresholds(swept, GRID, target).on,
    )
    sides: dict[str, tuple[Bench, Average, Choose]] = {
        "baseline": (bench, lambda scores: former(scores, rules), former_choice),
        "now": (bench, *now),
    }
    if asked.voices or asked.others:
        sides["baseline"] = (Bench(asked.encoder, asked.cache), *now)
    for name in asked.sets:
        rows: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
        for number in SOURCES[asked.half] if name in WAKE else (0, 1):
            recorded_by = bench.speakers(name, asked.half, number)
            streams = [s for s in bench.streams(name, asked.half) if s.group not in recorded_by]
            for side, (heard, average, choose) in sides.items():
                keywords, *prototypes = heard.head(name, asked.half, number)
                talk = [heard_by(s, keywords, *prototypes, average) for s in bench.talk()]
                said = [(s.condition, heard_by(s, keywords, *prototypes, average)) for s in streams]
                rows[side].append(measured(talk, said, keywords, rules, choose))
        for what in rows["now"][0]:
            value, base = (float(np.mean([row[what] for row in rows[side]])) for side in ("now", "baseline"))
            told = {
                "name": f"{NAMES.get(name, name)}_{what}",
                "value": round(value, 4),
                "baseline": round(base, 4),
            }
            unit = "per hour" if what.startswith(("asked", "fa")) else "share"
            print(
                json.dumps(told | {"unit": unit, "ratio": round(value / base, 3) if base else None}),
                flush=True,
            )
    print(
        json.dumps({"name": "detector_hop", "value": round(hop_ms(rules), 4), "unit": "ms", "baseline": 0.15})
    )


if __name__ == "__main__":
    main()
