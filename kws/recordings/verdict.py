"""What a recording of a word is like, and whether it can be used: a row of a table."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import soxr

from kws.common.errors import UserError
from kws.common.types import Audio
from kws.recordings.audio import CLIPPED, FULL, SILENCE, read_audio, read_recording
from kws.recordings.soundfiles import open_sound
from kws.recordings.word import Finding, search

QUIET_DBFS = -40.0
"""Peak below which a recording is doubtful: the noise of a computer's microphone is 20 dB below that, and
16-bit samples have few steps left for the quiet sounds of a word."""
SHORT_S = 0.3
"""A word below it is a poor keyword, or not all of it: any syllable of other words may be like it."""

State = Literal["ok", "doubtful", "unusable"]


@dataclass(frozen=True)
class Verdict:
    """A recording: what its header says, what it sounds like, and what is wrong or doubtful about it."""

    path: Path
    seconds: float = 0.0
    rate: int = 0
    """of the file, Hz"""
    channels: int = 0
    peak: float = 0.0
    """share of full scale"""
    clipped: float = 0.0
    """share of samples at full scale"""
    finding: Finding | None = None
    """at the rate that was asked for; None where the file could not be read"""
    problem: str | None = None
    """why it cannot be used, in one line that names the file"""
    words: tuple[slice, ...] = ()
    """samples of the takes that fit in a clip"""
    doubts: tuple[str, ...] = ()
    """what to look at before it is used, a line each that does not name the file"""
    audio: Audio | None = field(default=None, repr=False, compare=False)
    """float32 [samples] at the rate that was asked for"""

    @property
    def state(self) -> State:
        """The verdict in a word."""
        if self.problem:
            return "unusable"
        return "doubtful" if self.doubts else "ok"

    @property
    def takes(self) -> tuple[slice, ...]:
        """Samples of all takes, those too among them that do not fit in a clip."""
        return self.finding.takes if self.finding else ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ok, a line each that does not name the file."""
        return (self.problem.removeprefix(f"{self.path}: "),) if self.problem else self.doubts

    def samples(self) -> Audio:
        """Return `audio`, or raise UserError where the file could not be read."""
        if self.audio is None:
            raise UserError(self.problem or f"{self.path}: has not been read")
        return self.audio

    @property
    def peak_dbfs(self) -> float:
        """Peak in dB below full scale."""
        return decibels(self.peak)

    @property
    def snr_db(self) -> float:
        """How far the word is above the noise; NaN where none was found."""
        if self.finding is None or not self.finding.takes:
            return float("nan")
        return self.finding.word_dbfs - self.finding.noise_dbfs


def judge(path: Path, rate: int, longest_s: float) -> Verdict:
    """Read a recording at `rate` Hz and say what it is like; never a UserError, which becomes its problem.

    What reading it warns of is among its doubts.
    """

    def say(raw: Audio, own: int, channels: int) -> Verdict:
        audio = raw if own == rate else soxr.resample(raw, own, rate)
        return describe(path, audio, rate, longest_s, len(raw) / own, own, channels, raw)

    return _judged(path, read_recording, say)


def measure(path: Path) -> Verdict:
    """Read a recording that need hold no word and say what it is like; a UserError becomes its problem."""

    def say(raw: Audio, own: int, channels: int) -> Verdict:
        peak, clipped = _peak(raw), _clipped(raw)
        problem = f"{path}: is silent; check the microphone and record it again" if peak < SILENCE else None
        doubts = tuple(_doubts(peak=1.0, clipped=clipped))  # it may be quiet
        return Verdict(path, len(raw) / own, own, channels, peak, clipped, None, problem, (), doubts)

    return _judged(path, read_audio, say)


def describe(
    path: Path,
    audio: Audio,
    rate: int,
    longest_s: float,
    seconds: float,
    own_rate: int,
    channels: int,
    raw: Audio | None = None,
) -> Verdict:
    """Say what float32 [samples] at `rate` Hz are like, of a file that was or will be `path`.

    `raw` are the same at `own_rate`: what was clipped there is smoothed by resampling. A word may take
    `longest_s` to be of use.
    """
    finding = search(audio, rate, longest_s)
    words = tuple(take for take in finding.takes if take.stop - take.start <= longest_s * rate)
    peak, clipped = (of(audio if raw is None else raw) for of in (_peak, _clipped))
    problem = None if words else f"{path}: {_why_none(finding, rate, longest_s)}"
    long = (_too_long(take, rate, longest_s) for take in finding.takes if take not in words)
    doubts = (*finding.doubts, *long, *_doubts(peak, clipped)) if words else ()
    return Verdict(path, seconds, own_rate, channels, peak, clipped, finding, problem, words, doubts, audio)


def decibels(share: float) -> float:
    """Return a share of full scale in dB."""
    return 20 * float(np.log10(max(share, 1e-5)))


def _judged(
    path: Path, read: Callable[[Path, int], Audio], say: Callable[[Audio, int, int], Verdict]
) -> Verdict:
    """Read a file at its own rate and return what `say` makes of samples, rate and channels."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        try:
            with open_sound(path) as file:
                own, channels = file.samplerate, file.channels
            raw = read(path, own)
        except UserError as error:
            return Verdict(path, problem=str(error))
        found = say(raw, own, channels)
    said = tuple(str(warning.message).removeprefix(f"{path}: ") for warning in warned)
    # reading tells of clipping too, in the same words
    return found if found.problem else replace(found, doubts=tuple(dict.fromkeys((*said, *found.doubts))))


def _peak(audio: Audio) -> float:
    return min(1.0, float(np.abs(audio).max()))


def _clipped(audio: Audio) -> float:
    return float(np.mean(np.abs(audio) >= FULL))


def _why_none(finding: Finding, rate: int, longest_s: float) -> str:
    if not finding.takes:
        return finding.doubts[0]
    shortest = min(finding.takes, key=lambda take: take.stop - take.start)
    return f"{_too_long(shortest, rate, longest_s)}; say it faster, or raise features.clip_s"


def _too_long(take: slice, rate: int, longest_s: float) -> str:
    start, seconds = take.start / rate, (take.stop - take.start) / rate
    return f"its word at {start:.1f} s takes {seconds:.2f} s, longer than a clip of {longest_s} s"


def _doubts(peak: float, clipped: float) -> list[str]:
    """Return what is beyond the limits of this module."""
    found = []
    if decibels(peak) < QUIET_DBFS:
        found.append(f"its peak is {decibels(peak):.0f} dBFS; come nearer, or turn the microphone up")
    if clipped > CLIPPED:
        found.append(f"{clipped:.1%} of its samples are clipped; record it lower")
    return found
