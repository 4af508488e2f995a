"""Finding the word in a recording by its energy, so that cropping never cuts it.

Two thresholds as in Rabiner and Sambur, "An Algorithm for Determining the Endpoints of Isolated
Utterances", Bell System Technical Journal 54 (1975): a high one finds speech, a low one its edges.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio

Run = tuple[int, int]

HOP_S = 0.01
GAP_S = 0.25
"""Longest pause inside a word: the closure of a stop consonant and its surroundings."""
MARGIN_S = 0.03
"""Kept on both sides, for onsets and decays below the threshold."""
CLICK_S, CLICK_GAP_S = 0.1, 0.08
"""A click is at most this long and at least this far from the word."""


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


def search(audio: Audio, rate: int, longest_s: float) -> Finding:
    """Return what float32 [samples] hold: words of at most about `longest_s`, said once or several times."""
    word = find_word(audio, rate, longest_s)
    level = _level_db(audio, rate)
    rms = 10 * float(np.log10(np.mean(np.square(audio[word], dtype=np.float64)) + 1e-10))
    return Finding((word,), (), rms, float(np.quantile(level, 0.1)))


def find_word(audio: Audio, rate: int, longest_s: float) -> slice:
    """Return the samples of the most energetic utterance in float32 [samples], with a short margin.

    The high threshold lies 25 dB under the peak or 9 dB over the noise floor, whichever is higher;
    the low one 10 dB under it, but at least 4 dB over the floor. An utterance longer than `longest_s`
    first loses the clicks at its ends (a mouse button, a breath); it may still be longer afterwards.
    """
    level = _level_db(audio, rate)
    floor, peak = float(np.quantile(level, 0.1)), float(level.max())
    high = min(max(peak - 25, floor + 9), peak - 6)
    low = min(max(high - 10, floor + 4), high)
    utterances = _split(_runs(level > high), round(GAP_S / HOP_S))
    runs = max(utterances, key=lambda runs: sum(float(np.sum(10 ** (level[a:b] / 10))) for a, b in runs))
    word = _grow(runs, level > low, rate, len(audio))
    while word.stop - word.start > longest_s * rate:
        if _is_click(runs[0], runs[1:2]):
            runs = runs[1:]
        elif _is_click(runs[-1], runs[-2:-1]):
            runs = runs[:-1]
        else:
            break
        word = _grow(runs, level > low, rate, len(audio))
    return word


def _grow(runs: list[Run], above: NDArray[np.bool_], rate: int, n: int) -> slice:
    """Return the samples from the first run to the last, extended to the low threshold and the margin."""
    start, stop = runs[0][0], runs[-1][1]
    while start > 0 and above[start - 1]:
        start -= 1
    while stop < len(above) and above[stop]:
        stop += 1
    hop, margin = round(HOP_S * rate), round(MARGIN_S * rate)
    return slice(max(0, start * hop - margin), min(n, stop * hop + margin))


def _is_click(run: Run, neighbours: list[Run]) -> bool:
    """Say whether an outermost run is short and lies well apart from the next one."""
    for start, stop in neighbours:
        apart = max(start - run[1], run[0] - stop)
        return run[1] - run[0] <= CLICK_S / HOP_S and apart >= CLICK_GAP_S / HOP_S
    return False


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
    groups = [runs[:1]]
    for run in runs[1:]:
        if run[0] - groups[-1][-1][1] <= gap:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups
