"""What a recording of a word is like, and whether it can be used: a row of a table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.common.errors import UserError
from kws.common.types import Audio
from kws.recordings.audio import read_recording
from kws.recordings.soundfiles import open_sound
from kws.recordings.word import Finding, search

FULL = 0.999
"""Share of full scale from which on a sample counts as clipped."""


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
    """at the rate that was asked for"""
    problem: str | None = None
    """why it cannot be used, in one line that names the file"""


def judge(path: Path, rate: int, longest_s: float) -> Verdict:
    """Read a recording at `rate` Hz and say what it is like; never a UserError, which becomes its problem."""
    try:
        with open_sound(path) as file:
            seconds, own, channels = file.frames / file.samplerate, file.samplerate, file.channels
        return describe(path, read_recording(path, rate), rate, longest_s, seconds, own, channels)
    except UserError as error:
        return Verdict(path, problem=str(error))


def describe(
    path: Path, audio: Audio, rate: int, longest_s: float, seconds: float, own_rate: int, channels: int
) -> Verdict:
    """Say what float32 [samples] at `rate` Hz are like, of a file that was or will be `path`."""
    level = np.abs(audio)
    finding = search(audio, rate, longest_s)
    problem = None if finding.takes else f"{path}: {finding.doubts[0]}"
    clipped = float(np.mean(level >= FULL))
    return Verdict(path, seconds, own_rate, channels, float(level.max()), clipped, finding, problem)
