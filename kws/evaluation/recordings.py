"""Recordings by voices that no model was trained on, one clip each."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.common.seeding import rng
from kws.common.types import Audio, Features, Labels
from kws.evaluation.voices import by_voice, words_by_voice
from kws.features.logmel import FrontEnd, features
from kws.recordings.audio import read_recording, some
from kws.recordings.floor import FLOOR
from kws.recordings.names import folders_of, unmatched_folders
from kws.recordings.word import word_of


@dataclass(frozen=True)
class EvalSet:
    """Clips with their true labels; a near miss is labelled as background."""

    features: Features
    """float32 [n, 1, frames, n_mels]"""
    labels: Labels
    files: list[str]
    """paths below the folder of the set"""
    voices: list[str]

    def __len__(self) -> int:
        """Clips in the set."""
        return len(self.files)


def load_eval_words(folder: Path, labels: list[str], background: str, front_end: FrontEnd) -> EvalSet:
    """Read `words/<LABEL>/*` of each keyword; those without recordings are left out with a warning."""
    clips = {
        label: list(_read(folder, words_by_voice(folder / "words", label), index, front_end))
        for index, label in enumerate(labels)
        if label != background
    }
    if unknown := unmatched_folders(folder / "words", list(clips)):
        warnings.warn(f"{folder}/words: {some(unknown)}: no label is called so; not used", stacklevel=2)
    for label in clips:
        if len(names := [path.name for path in folders_of(folder / "words", label)]) > 1:
            warnings.warn(f"{folder}/words: {' and '.join(names)} are both read as {label}", stacklevel=2)
    if absent := [label for label, found in clips.items() if not found]:
        warnings.warn(
            f"{folder}/words: no recordings of {' '.join(absent)}, so how often they are heard is not known",
            stacklevel=2,
        )
    return _eval_set([clip for found in clips.values() for clip in found], front_end)


def load_near_misses(folder: Path, labels: list[str], background: str, front_end: FrontEnd) -> EvalSet:
    """Read `near_misses/*`: words that sound like keywords and are none; absent ones are warned about."""
    near = by_voice(folder / "near_misses")
    clips = list(_read(folder, near, labels.index(background), front_end))
    if not clips:
        warnings.warn(f"{folder}/near_misses: no recordings, so near misses are not evaluated", stacklevel=2)
    return _eval_set(clips, front_end)


def choose_inputs(words: EvalSet, near_misses: EvalSet, size: int, seed: int) -> EvalSet:
    """Return up to `size` clips: words first, then near misses, each drawn at random but kept in order."""
    chosen = [_sample(words, size, seed), _sample(near_misses, size - min(size, len(words)), seed)]
    return EvalSet(
        np.concatenate([c.features for c in chosen]),
        np.concatenate([c.labels for c in chosen]),
        [name for c in chosen for name in c.files],
        [voice for c in chosen for voice in c.voices],
    )


def centre(audio: Audio, word: slice, n: int) -> Audio:
    """Return the n samples around the middle of a word, on the self-noise of a good microphone.

    Without it, clips whose recording ends early would hold digital silence, which no microphone delivers.
    """
    first = (word.start + word.stop - n) // 2
    clip = FLOOR * rng(0, "microphone", 0).standard_normal(n, dtype=np.float32)
    start, stop = max(0, first), min(len(audio), first + n)
    clip[start - first : stop - first] += audio[start:stop]
    return clip


@dataclass(frozen=True)
class _Clip:
    audio: Audio
    label: int
    file: str
    voice: str


def _read(
    folder: Path, recordings: list[tuple[str, Path]], label: int, front_end: FrontEnd
) -> Iterator[_Clip]:
    for voice, path in recordings:
        audio = read_recording(path, front_end.sample_rate)
        word = word_of(path, audio, front_end.sample_rate, front_end.clip_s)
        clip = centre(audio, word, front_end.clip_samples)
        yield _Clip(clip, label, path.relative_to(folder).as_posix(), voice)


def _eval_set(clips: list[_Clip], front_end: FrontEnd) -> EvalSet:
    values = np.empty((len(clips), 1, front_end.n_frames, front_end.n_mels), np.float32)
    for row, clip in enumerate(clips):
        values[row, 0] = features(clip.audio, front_end)
    labels = np.array([clip.label for clip in clips], np.int64)
    return EvalSet(values, labels, [clip.file for clip in clips], [clip.voice for clip in clips])


def _sample(clips: EvalSet, size: int, seed: int) -> EvalSet:
    order = np.sort(rng(seed, "board inputs", 0).permutation(len(clips))[:size])
    files, voices = ([values[i] for i in order] for values in (clips.files, clips.voices))
    return EvalSet(clips.features[order], clips.labels[order], files, voices)
