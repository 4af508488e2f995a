"""The recordings that a model was trained on: each with its word marked, and what there is to say of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.augment.sources import word_files
from kws.features.logmel import FrontEnd
from kws.params.sections import Data
from kws.recordings.verdict import judge
from kws.report.media import mp3, spectrogram
from kws.report.numbers import NBSP, signed
from kws.report.sounds import Mark, Sound


@dataclass(frozen=True)
class Recorded:
    """Some recordings of a label."""

    label: str
    n: int
    """recordings that there are"""
    sounds: list[Sound]


def recorded(keywords: list[str], data: Data, front_end: FrontEnd, most: int) -> list[Recorded]:
    """Return the recordings of each keyword, `most` of them, evenly spread."""
    found = []
    for label in keywords:
        files = list(word_files(label, Path(data.seeds), Path(data.voices)).items())
        chosen = np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).astype(int))
        shown = [files[index] for index in chosen]
        found.append(Recorded(label, len(files), [_sound(path, name, front_end) for path, name in shown]))
    return found


def _sound(path: Path, name: str, front_end: FrontEnd) -> Sound:
    """Return a recording; UserError where it cannot be read, as when clips were made of it."""
    verdict, rate = judge(path, front_end.sample_rate, front_end.clip_s), front_end.sample_rate
    audio = verdict.samples()
    seconds = len(audio) / rate
    takes = [(take.start / rate, take.stop / rate) for take in verdict.words or verdict.takes]
    kind = "word" if verdict.words else "window"
    marks = [Mark(kind, start / seconds, (stop - start) / seconds) for start, stop in takes]
    where = " and ".join(f"{start:.2f} to {stop:.2f}{NBSP}s" for start, stop in takes) or "no word"
    level = f"peak {verdict.peak_dbfs:.0f}{NBSP}dBFS"
    above = f", {verdict.snr_db:.0f}{NBSP}dB above the noise" if takes else ""
    details = [f"{verdict.state}: {where}", signed(level) + above, *verdict.reasons]
    alt = f"Spectrogram of {name}, {seconds:.1f} s: {verdict.state}"
    return Sound(name, details, mp3(audio, rate), spectrogram(audio, front_end), alt, marks, verdict.state)
