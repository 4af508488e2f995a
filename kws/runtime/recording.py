"""A recording as `kws spot` hears it: what is heard in it, and how near every keyword came."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.terminal import plain_json
from kws.common.types import Audio
from kws.detector import DetectorSpec, Event
from kws.recordings.floor import FLOOR
from kws.runtime.gate import AutomaticGain
from kws.runtime.kit import Kit
from kws.runtime.scoring import Gate
from kws.runtime.source import read_blocks
from kws.runtime.spotter import Spotter

BLOCK_S = 10.0
"""How much of a file is in memory at a time."""
SHORT = 2.0
"""Decisions in a recording below which it is short: a single word, with little around it or nothing."""


@dataclass(frozen=True)
class Part:
    """What a block of a recording brought; all times are seconds of the recording."""

    ends: NDArray[np.float64]
    """of the windows that it completed, [windows]"""
    averages: NDArray[np.float64]
    """of these windows, [windows, keywords]: what the thresholds are compared with"""
    events: list[Event]


def decision_s(spec: DetectorSpec) -> float:
    """Return what one decision takes: a window, the average over windows, and holding it."""
    rules = spec.rules
    more = rules.windows(rules.smooth_ms) + rules.windows(rules.hold_ms) - 2
    return spec.window_s + more * rules.hop_ms / 1000


def hear(
    kit: Kit,
    path: Path,
    gate: Gate | None = None,
    gain: AutomaticGain | None = None,
    channel: int | None = None,
) -> Iterator[Part]:
    """Yield what is heard in a file, block by block.

    A short one is heard as by a microphone that was on before and after it, with its faint noise: a word
    needs more windows than lie in its own length. Raises UserError as `read_blocks` does, after what
    could be read.
    """
    spec, rate = kit.detector, kit.front_end.sample_rate
    blocks, decision = read_blocks(path, rate, BLOCK_S, channel), round(decision_s(spec) * rate)
    start, failure = _start(blocks, round(SHORT * decision))
    samples = sum(map(len, start))
    if failure and not samples:
        raise failure
    lead, length = 0.0, float("inf")
    if samples < SHORT * decision:
        start, lead, length = [_on_floor(np.concatenate(start), decision)], decision / rate, samples / rate
    spotter = Spotter(kit, gate)
    for block in chain(start, blocks):
        first = spotter.windows
        heard = spotter.push(gain.push(block) if gain else block)
        ends = np.arange(first, spotter.windows) * (spec.rules.hop_ms / 1000) + spec.window_s - lead
        events = [_moved(event, lead, length) for event in heard.events]
        inside = [event for event in events if event.start < event.end]  # others lie in the noise around it
        yield Part(np.clip(ends, 0, length), heard.averages, inside)
    if failure:
        raise failure


def _on_floor(audio: Audio, around: int) -> Audio:
    """Return a recording on the self-noise of a microphone that was on for longer, by `around` samples."""
    noise = np.random.default_rng(0).standard_normal(len(audio) + 2 * around, dtype=np.float32)
    heard: Audio = FLOOR * noise
    heard[around : around + len(audio)] += audio
    return heard


def _start(blocks: Iterator[Audio], samples: int) -> tuple[list[Audio], UserError | None]:
    """Take blocks until there are so many samples or no more; return them and what went wrong then."""
    taken: list[Audio] = []
    try:
        for block in blocks:
            taken.append(block)
            if sum(map(len, taken)) >= samples:
                break
    except UserError as error:
        return taken, error
    return taken, None


def _moved(event: Event, lead: float, length: float) -> Event:
    start, end = (min(max(0.0, time - lead), length) for time in (event.start, event.end))
    return replace(event, start=start, end=end)


class Highest:
    """The highest score of each keyword in a recording, and when it was reached."""

    def __init__(self, spec: DetectorSpec) -> None:
        """Start a recording."""
        self.spec = spec
        self.scores = np.zeros(len(spec.keywords))
        self.ends = np.zeros(len(spec.keywords))

    def push(self, part: Part) -> None:
        """Take what a block brought."""
        if len(part.averages):
            at = part.averages.argmax(axis=0)
            scores = part.averages.max(axis=0)
            self.ends = np.where(scores > self.scores, part.ends[at], self.ends)
            self.scores = np.maximum(scores, self.scores)

    def rows(self) -> list[tuple[str, float, float, float]]:
        """Return keyword, highest score, threshold and the end of its window, the nearest keyword first."""
        on = [self.spec.on[keyword] for keyword in self.spec.keywords]
        rows = zip(self.spec.keywords, self.scores.tolist(), on, self.ends.tolist(), strict=True)
        return sorted(rows, key=lambda row: row[2] - row[1])


def nothing_heard(highest: Highest) -> str:
    """Return the line for a recording without an event: what came nearest to being one."""
    able = [row for row in highest.rows() if row[2] <= 1]
    if not able:
        return "nothing heard: every keyword's threshold is above 1, so none can be"
    keyword, score, on, end = able[0]
    rules = highest.spec.rules
    why = f", but not for {rules.hold_ms:g} ms" if score >= on else ""
    return f"nothing heard; nearest was {keyword} at {end:.1f} s: {score:.4f} of {on:.4f}{why}"


def scores_table(highest: Highest) -> str:
    """Return a line a keyword: its highest score, its threshold, and when."""
    rows = [f"  {'keyword':20}{'highest':>9}{'threshold':>11}{'at s':>8}"]
    for keyword, score, on, end in highest.rows():
        rows.append(f"  {keyword:20}{score:9.4f}{f'{on:.4f}' if on <= 1 else 'never':>11}{end:8.1f}")
    return "\n".join(rows)


def scores_json(highest: Highest, **more: str) -> str:
    """Return the same as JSON lines."""
    return "\n".join(
        plain_json(
            {**more, "keyword": keyword, "highest": round(score, 6), "threshold": on, "end": round(end, 3)}
        )
        for keyword, score, on, end in highest.rows()
    )
