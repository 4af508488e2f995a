"""Finding the word in a recording: which sound it is by its likeness to speech, its edges by energy.

The edges are those of Rabiner and Sambur, "An Algorithm for Determining the Endpoints of Isolated
Utterances", Bell System Technical Journal 54 (1975): a high threshold finds speech, a low one its edges.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from kws.common.types import Audio
from kws.recordings import speech
from kws.recordings.cleaning import cleaned

Run = tuple[int, int]
"""From a hop to the one after the last"""

HOP_S = 0.01
GAP_S = 0.25
"""Longest pause inside a word: the closure of a stop consonant and its surroundings."""
BURST_S = 0.12
"""A sound unlike speech belongs to the word up to so far from it: the release of a stop, an s."""
MARGIN_S = 0.03
"""Kept on both sides, for onsets and decays below the threshold."""
CLICK_S, CLICK_GAP_S = 0.1, 0.08
"""A click is at most this long and at least this far from the word."""
HINT = 0.3
BEFORE, AFTER = 12, 3
SPEECH = 0.7
"""Probability from which on a moment is taken for speech."""


@dataclass(frozen=True)
class Finding:
    """The words of a recording, and what is doubtful about them."""

    takes: tuple[slice, ...]
    """samples of each word, in order: several where it was said several times, none where none was found"""
    doubts: tuple[str, ...]
    """what to look at, a line each, with times; or why nothing was found"""
    word_dbfs: float
    """RMS of the loudest take, dB below full scale"""
    noise_dbfs: float
    """RMS of what lies beneath"""


@dataclass(frozen=True)
class Sound:
    """What stands out of the noise and may be a word."""

    span: slice
    """samples"""
    likeness: float
    """to speech, the mean of 0..1"""
    level: float
    """of its loudest 50 ms, dB"""
    energy: float
    """dB"""


@dataclass(frozen=True)
class Heard:
    n: int
    rate: int
    level: NDArray[np.float64]
    floor: float
    speech: NDArray[np.float64]


def listen(audio: Audio, rate: int) -> Heard:
    clean = cleaned(audio, rate)
    level = _level_db(clean, rate)
    p = speech.likeness(clean, rate)
    at = ((np.arange(len(level)) + 0.5) * HOP_S * speech.RATE / speech.CHUNK).astype(int)
    return Heard(len(audio), rate, level, float(np.quantile(level, 0.1)), p[np.minimum(at, len(p) - 1)].astype(float))


def sounds(h: Heard, longest_s: float) -> list[Sound]:
    found = []
    steady = median_filter(h.level, 5, mode="nearest")
    speaking = _runs(h.speech >= HINT)
    silent = np.ones(len(h.level), bool)
    for a, b in speaking:
        silent[max(0, a - 20) : b + 20] = False
    floor = float(np.quantile(h.level[silent], 0.9)) if silent.sum() >= 20 else float(np.quantile(h.level, 0.1))
    spoken = [(a, b) for a, b in speaking if h.speech[a:b].max() >= SPEECH]
    for group in _split(spoken, round(GAP_S / HOP_S)):
        region = slice(max(0, group[0][0] - BEFORE), min(len(h.level), group[-1][1] + AFTER))
        top = steady[region].max()
        high = min(max(top - 25, floor + 3), top - 8)
        low = min(max(top - 35, floor), high)
        inside = np.zeros(len(h.level), bool)
        inside[region] = True
        chosen = _runs((h.level > high) & inside)
        span = _grow(chosen, (h.level > low) & inside, h.rate, h.n)
        p = np.concatenate([h.speech[a:b] for a, b in chosen])
        power = np.concatenate([10 ** (h.level[a:b] / 10) for a, b in chosen])
        found.append(Sound(span, float(np.sum(p * power) / power.sum()), float(top), 10 * np.log10(power.sum())))
    return found


def search(audio: Audio, rate: int, longest_s: float) -> Finding:
    """Return what float32 [samples] hold: words of at most about `longest_s`, said once or several times."""
    h = listen(audio, rate)
    found = sounds(h, longest_s)
    if not found:
        return Finding((), ("nothing",), -100, h.floor)
    best = max(found, key=lambda s: s.energy)
    return Finding((best.span,), (), best.level, h.floor)


def find_word(audio: Audio, rate: int, longest_s: float) -> slice:
    f = search(audio, rate, longest_s)
    return f.takes[0] if f.takes else slice(0, len(audio))


def _grow(runs: list[Run], above: NDArray[np.bool_], rate: int, n: int) -> slice:
    """Return the samples from the first run to the last, extended to the low threshold and the margin."""
    start, stop = runs[0][0], runs[-1][1]
    while start > 0 and above[start - 1]:
        start -= 1
    while stop < len(above) and above[stop]:
        stop += 1
    hop, margin = round(HOP_S * rate), round(MARGIN_S * rate)
    return slice(max(0, start * hop - margin), min(n, stop * hop + margin))


def _level_db(audio: Audio, rate: int) -> NDArray[np.float64]:
    """Level of each hop in dB, over windows of 20 ms."""
    hop = round(HOP_S * rate)
    n = max(1, len(audio) // hop)
    hops = np.resize(audio, n * hop) if len(audio) < hop else audio[: n * hop]
    power = np.mean(np.square(hops.reshape(n, -1), dtype=np.float64), axis=1)
    smooth = np.convolve(power, [0.25, 0.5, 0.25], mode="same") if n >= 3 else power
    level: NDArray[np.float64] = 10 * np.log10(smooth + 1e-10)
    return level


def _runs(flags: NDArray[np.bool_]) -> list[Run]:
    """Return (start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _split(runs: list[Run], gap: int) -> list[list[Run]]:
    """Group runs into utterances: those no more than `gap` apart belong together."""
    if not runs:
        return []
    groups = [runs[:1]]
    for run in runs[1:]:
        if run[0] - groups[-1][-1][1] <= gap:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups
