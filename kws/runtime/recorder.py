"""Keeps the audio around events and near misses as WAV files, for people who collect them to retrain."""

import math
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from kws.common.terminal import plain
from kws.common.types import Audio
from kws.detector import Detector, DetectorSpec, Event, log_odds
from kws.recordings.soundfiles import encoded
from kws.runtime.spotter import Heard

NEAR = 1.5
"""Log-odds that a keyword's score is below its threshold at most, in a near miss."""
KINDS = EVENTS, NEAR_MISSES = "events", "near_misses"
"""Folders of what is kept."""
BEFORE_S, AFTER_S = 0.5, 0.5
"""Kept before the window that fired and after it, the latter no longer than a window."""


def near(on: float) -> float:
    """Return the score from which on a keyword with this threshold is nearly heard."""
    return 1 / (1 + math.exp(NEAR - log_odds(on))) if 0 < on < 1 else on


class Recorder:
    """Writes `<folder>/events/<LABEL>/<name>_<seconds>s_<score>.wav`, and near misses likewise.

    A near miss is a keyword that came near its threshold with no event within a window of it. A disk that
    is full, or any other failure to write, is said once on stderr; listening goes on without saving.
    """

    def __init__(self, folder: Path, spec: DetectorSpec, rate: int, name: str) -> None:
        """Start a stream; `name` begins the names of its files."""
        self._folder, self._rate, self._name = folder, rate, name
        self._window_s = spec.window_s
        self._near = Detector(replace(spec, on={label: near(on) for label, on in spec.on.items()}))
        self._audio, self._end = np.zeros(0, np.float32), 0  # the last seconds, and the sample they end at
        self._keep = round((BEFORE_S + 3 * spec.window_s + 2 * AFTER_S) * rate)
        self._waiting: list[tuple[str, Event]] = []
        self._heard: list[Event] = []
        self.failure: OSError | None = None
        """why nothing is saved any more"""

    def push(self, audio: Audio, heard: Heard) -> None:
        """Take a block and what was heard in it; write what is complete by now."""
        self._audio = np.concatenate([self._audio, audio])
        self._end += len(audio)
        self._heard += heard.events
        self._waiting += [(EVENTS, event) for event in heard.events]
        self._waiting += [(NEAR_MISSES, near) for near in self._near.push(heard.averages)]
        self._write_until(self._end / self._rate)
        self._audio = self._audio[-self._keep :]

    def close(self) -> None:
        """Write what was still waiting for its last samples."""
        self._write_until(float("inf"))

    def _write_until(self, now: float) -> None:
        """Write what lies a window back: by then it is known whether a near miss became an event."""
        ready = [(kind, event) for kind, event in self._waiting if event.end + self._window_s <= now]
        self._waiting = [waiting for waiting in self._waiting if waiting not in ready]
        for kind, event in ready:
            if kind == EVENTS or not any(abs(event.end - e.end) <= self._window_s for e in self._heard):
                self._save(event, kind)
        self._heard = [event for event in self._heard if event.end + 3 * self._window_s > now]

    def _save(self, event: Event, kind: str) -> None:
        if self.failure:
            return
        first, last = (round(s * self._rate) for s in (event.start - BEFORE_S, event.end + AFTER_S))
        offset = self._end - len(self._audio)
        audio = self._audio[max(0, first - offset) : max(0, last - offset)]
        path = self._folder / kind / event.label / f"{self._name}_{event.end:08.1f}s_{event.score:.4f}.wav"
        wav = encoded(audio, self._rate, "WAV")
        try:
            keep(path, wav)
        except OSError as error:
            self.failure = error
            print(f"warning: {plain(path)}: {error.strerror}; no more audio is saved", file=sys.stderr)


def keep(path: Path, content: bytes) -> None:
    """Write a new file, whole or not at all; where the name is taken, `-2`, `-3` and so on is put to it.

    Any number of programs may do so in one folder: who writes a name holds its `.partial`, which can be
    made once only. What is there already, with the same content, is not written again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        own = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        partial = own.with_name(own.name + ".partial")
        try:
            file = partial.open("xb")
        except FileExistsError:
            continue  # another program is writing this name, or was killed while it did
        mine = True
        try:
            with file:
                file.write(content)
            if not own.exists():
                partial.replace(own)
                mine = False
                return
            if own.stat().st_size == len(content) and own.read_bytes() == content:
                return
        finally:
            if mine:
                partial.unlink()
