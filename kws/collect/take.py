"""A take: when it is over, and what is thought of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from rich.text import Text

from kws.collect.places import Place
from kws.collect.view import Kept
from kws.common.types import Audio
from kws.features.logmel import FrontEnd
from kws.recordings.audio import CLIPPED, FULL, SILENCE, WORD_LENGTH, WORD_S
from kws.recordings.verdict import decibels, describe
from kws.runtime.microphone import MUTED

BLOCK_S = 0.05
"""Between two looks at the level."""
SPEECH_S, QUIET_S = 0.15, 1.0
"""So much sound and then so long a quiet is a word that has been said."""
RISE_DB, BELOW_PEAK_DB = 12.0, 25.0
"""Sound is that much louder than the quietest tenth, and at most this below the loudest."""
SHORT_S = 10.0
"""A background below it is doubtful."""
AROUND_S = 0.15
"""Played on both sides of a word."""


def is_over(before: Sequence[float], levels: Sequence[float]) -> bool:
    """Say whether a word has been said, by the levels in dBFS of the blocks before it and of those since."""
    every = [*before, *levels]
    threshold = max(float(np.quantile(every, 0.1)) + RISE_DB, max(every) - BELOW_PEAK_DB)
    loud = np.flatnonzero(np.array(levels) > threshold)
    enough = len(loud) * BLOCK_S >= SPEECH_S
    return enough and (len(levels) - 1 - int(loud[-1])) * BLOCK_S >= QUIET_S


@dataclass(frozen=True)
class Take:
    """A recording, float32 [samples] at the microphone's rate, and what is thought of it."""

    audio: Audio
    played: slice
    """the samples of the word, and a little more"""
    row: Kept
    notes: list[str]
    """what is wrong, a line each"""
    usable: bool = True

    def summary(self) -> Text:
        """Return its numbers, or that it is of no use."""
        if not self.usable:
            return Text("cannot be used", "bold red")
        row = self.row
        numbers = f"{row.seconds:.2f} s, peak {row.peak_dbfs:.1f} dBFS"
        if row.snr_db is not None:
            numbers += f", {row.snr_db:.0f} dB above the noise"
        said, style = ("doubtful", "bold yellow") if self.notes else ("fine", "bold green")
        return Text(f"{numbers}: {said}", style)


def word_take(audio: Audio, rate: int, place: Place, front_end: FrontEnd) -> Take:
    """Judge float32 [samples] in which a word is looked for."""
    path, nothing = place.next(), slice(0)
    if np.abs(audio).max() < SILENCE:
        return Take(audio, nothing, Kept(place.label, path, 0.0, -120.0), [MUTED], False)
    own, seconds = front_end.sample_rate, len(audio) / rate
    if seconds < WORD_S[0]:
        note = f"it is {seconds:.2f} s long; {WORD_LENGTH}"
        return Take(audio, nothing, Kept(place.label, path, 0.0, -120.0), [note], False)
    found = describe(path, soxr.resample(audio, rate, own), own, front_end.clip_s, seconds, rate, 1, audio)
    takes = found.finding.takes if found.finding else ()
    if found.problem or not takes or not found.finding:
        row = Kept(place.label, path, 0.0, found.peak_dbfs)
        return Take(audio, slice(None), row, list(found.reasons), False)
    first, last, around = (round(n * rate) for n in (takes[0].start / own, takes[-1].stop / own, AROUND_S))
    longest = max(word.stop - word.start for word in found.words) / own
    row = Kept(place.label, path, longest, found.peak_dbfs, found.snr_db)
    return Take(audio, slice(max(0, first - around), last + around), row, list(found.reasons))


def background_take(audio: Audio, rate: int, place: Place, front_end: FrontEnd) -> Take:
    """Judge float32 [samples] that hold no word."""
    level, seconds = np.abs(audio), len(audio) / rate
    peak, clipped, notes = float(level.max()), float(np.mean(level >= FULL)), list[str]()
    row = Kept(place.label, place.next(), seconds, decibels(peak))
    if peak < SILENCE:
        return Take(audio, slice(0), row, [MUTED], False)
    if clipped > CLIPPED:
        notes.append(f"{clipped:.1%} of its samples are clipped; turn the microphone down")
    if seconds < SHORT_S:
        notes.append(f"it is only {seconds:.1f} s long; half a minute holds more of what can be heard")
    return Take(audio, slice(None), row, notes)
