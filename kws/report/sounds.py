"""What to listen to: augmented clips, and all that went wrong in the streams."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.augment.clips import read_manifest
from kws.augment.recipe import Clip
from kws.common.files import read_table
from kws.common.types import Audio
from kws.evaluation.events import Kind, Outcome
from kws.features.logmel import FrontEnd
from kws.recordings.audio import to_float
from kws.report.media import mp3, read_part, spectrogram
from kws.report.numbers import NBSP, signed

ERRORS: tuple[Kind, ...] = ("false accept", "near miss", "miss")
AROUND_S = 0.5
"""of a stream before and after what there is to hear"""
TOLD = 3
"""changes that a clip's caption names"""
AUDIBLE = 0.3
"""Strength from which a change is worth naming; 1 is about the strongest that the default recipe makes."""


@dataclass(frozen=True)
class Mark:
    """A stretch of a spectrogram, or a moment if it has no width; in shares of the whole."""

    kind: str
    left: float
    width: float


@dataclass(frozen=True)
class Sound:
    """Something to play, with its picture; `audio` and `image` are data URIs."""

    title: str
    details: list[str]
    audio: str
    image: str
    alt: str
    marks: list[Mark]
    state: str = ""
    """how it is framed: as ok, doubtful or unusable"""


@dataclass(frozen=True)
class Shard:
    """Some clips of a label, or of the hard negatives."""

    name: str
    n: int
    """clips that there are"""
    sounds: list[Sound]


@dataclass(frozen=True)
class Wrong:
    """Errors of one kind."""

    kind: Kind
    n: int
    """that there are"""
    sounds: list[Sound]
    """of those with the highest scores"""


@dataclass(frozen=True)
class Excerpt:
    """Part of a stream."""

    audio: str
    start: float
    """in seconds from the start of the stream"""


def read_outcomes(path: Path) -> list[Outcome]:
    """Return the rows of reports/events.csv or of reports/loudest.csv."""
    return [Outcome(**row) for row in read_table(path, ("stream", "kind", "said", "heard"))]


def worst(outcomes: Sequence[Outcome], each: int, most: int) -> list[Outcome]:
    """Return what went wrong, the highest scores first: `each` of a kind and keyword, `most` in all."""
    wrong = sorted((o for o in outcomes if o.kind != "hit"), key=lambda outcome: -outcome.score)
    seen: Counter[tuple[str, str]] = Counter()
    chosen = []
    for outcome in wrong:
        group = outcome.kind, outcome.heard or outcome.said
        seen[group] += 1
        if seen[group] <= each:
            chosen.append(outcome)
    return chosen[:most]


def listen(
    outcomes: Sequence[Outcome],
    find: Callable[[str], Path],
    thresholds: Mapping[str, float],
    front_end: FrontEnd,
    each: int,
    most: int,
) -> list[Wrong]:
    """Return what went wrong in streams, by kind; `find` tells where a stream's recording is."""
    chosen = worst(outcomes, each, most)
    groups = [
        Wrong(
            kind,
            sum(outcome.kind == kind for outcome in outcomes),
            [
                outcome_sound(outcome, outcomes, find(outcome.stream), thresholds, front_end)
                for outcome in chosen
                if outcome.kind == kind
            ],
        )
        for kind in ERRORS
    ]
    return [group for group in groups if group.n]


def outcome_sound(
    outcome: Outcome,
    others: Sequence[Outcome],
    path: Path,
    thresholds: Mapping[str, float],
    front_end: FrontEnd,
) -> Sound:
    """Return the part of the stream `path` that an outcome lies in; `others` are the words said around it."""
    rate, keyword = front_end.sample_rate, outcome.heard or outcome.said
    on = thresholds[keyword]
    audio, begins = read_part(path, outcome.start - AROUND_S, outcome.end + AROUND_S, rate)
    seconds = len(audio) / rate

    def mark(kind: str, start: float, end: float) -> Mark:
        left, right = (min(1.0, max(0.0, (time - begins) / seconds)) for time in (start, end))
        return Mark(kind, left, right - left)

    false = outcome.kind == "false accept"
    marks = [mark("window" if false else "word", outcome.start, outcome.end)]
    said = [o for o in others if false and o.said and _overlap(o, outcome)]
    marks += [mark("word", o.start, o.end) for o in said]
    told = f"threshold {on:.4f}" if on <= 1 else "never fires"
    if outcome.kind == "miss" and outcome.score >= on:
        told += ", but not for long enough, or right after another word"
    details = [
        f"score {outcome.score:.4f}, {told}",
        f"{outcome.stream} at {clock(outcome.start)}",
        *(f"while {o.said} was said" for o in said),
    ]
    alt = f"Spectrogram, {seconds:.1f} s: {outcome.kind} of {keyword}"
    return Sound(keyword, details, mp3(audio, rate), spectrogram(audio, front_end), alt, marks)


def excerpt(path: Path, start: float, end: float, rate: int) -> Excerpt:
    """Return what a stream holds between two times."""
    audio, begins = read_part(path, start, end, rate)
    return Excerpt(mp3(audio, rate), begins)


def shard_sounds(folder: Path, n: int, front_end: FrontEnd) -> Shard:
    """Return `n` clips of a shard, evenly spread, with what was done to them."""
    clips = np.load(folder / "clips.npy", mmap_mode="r", allow_pickle=False)
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(n, len(clips))).astype(int)).tolist()
    rows = zip(chosen, read_manifest(folder / "manifest.csv", chosen), strict=True)
    sounds = [_clip_sound(row, to_float(np.array(clips[i])), front_end) for i, row in rows]
    return Shard(folder.name, len(clips), sounds)


def changes(clip: Clip) -> list[str]:
    """Return what was done to a clip, the most audible first, TOLD at most."""
    noise = " and ".join(map(_source, clip.noise)) if clip.kind != "background" else ""
    snr, level = signed(f"{clip.snr_db:.0f}{NBSP}dB"), clip.level_dbfs or 0
    found = [
        (abs(clip.semitones) / 7, signed(f"pitch {clip.semitones:+.1f} semitones")),
        (abs(np.log2(clip.duration)) / np.log2(1.3), _compared(clip.duration, "longer", "shorter")),
        (abs(np.log2(clip.formant)) / 0.35, f"formants {_compared(clip.formant, 'higher', 'lower')}"),
        (0.6 if clip.rir >= 0 else 0, "in a room"),
        (1 - clip.snr_db / 30 if noise else 0, f"{noise} at {snr}"),
        (2 - clip.high_hz / 3400 if clip.eq_db else 0, f"nothing above {clip.high_hz / 1000:.1f} kHz"),
        (clip.drive_db / 12, "clipped"),
        (-1 - level / 20, signed(f"quiet, {level:.0f}{NBSP}dBFS")),
    ]
    audible = sorted((change for change in found if change[0] >= AUDIBLE), reverse=True)
    return [text for _, text in audible[:TOLD]]


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, 83.2 as 1:23."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _clip_sound(clip: Clip, audio: Audio, front_end: FrontEnd) -> Sound:
    rate = front_end.sample_rate
    done = changes(clip) or ["hardly changed"]
    alt = f"Spectrogram of a clip of {clip.label}: {', '.join(done)}"
    word = [Mark("word", clip.start / len(audio), clip.length / len(audio))] if clip.kind == "keyword" else []
    return Sound(_kind(clip), done, mp3(audio, rate), spectrogram(audio, front_end), alt, word)


def _kind(clip: Clip) -> str:
    first, second = (Path(name).parent.name for name in (clip.source, clip.other or "."))
    return {
        "keyword": "",
        "background": _source(clip.source),
        "speech": f"speech, {clip.source}",
        "joined": f"{first} cut into {second}",
        "swapped": f"{first}, halves swapped",
    }.get(clip.kind, f"{first}, {clip.kind}")


def _source(name: str) -> str:
    """Return a noise's name: `coloured noise`, or that of its file without number and suffix."""
    known = {"gaussian": "white noise", "coloured": "coloured noise"}
    return known.get(name) or re.sub(r"^\d+_", "", Path(name).stem).replace("_", " ")


def _compared(factor: float, more: str, less: str) -> str:
    return f"{abs(100 * (factor - 1)):.0f} % {more if factor > 1 else less}"


def _overlap(a: Outcome, b: Outcome) -> bool:
    return a is not b and a.stream == b.stream and a.start < b.end and b.start < a.end
