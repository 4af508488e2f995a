"""Recordings by voices that no model was trained on, one clip each."""

import warnings
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
    """Recordings with their true labels; a near miss is labelled as background."""

    labels: Labels
    files: list[str]
    """paths below the folder of the set"""
    voices: list[str]

    def __len__(self) -> int:
        """Recordings in the set."""
        return len(self.files)


def find_words(folder: Path, labels: list[str], background: str) -> EvalSet:
    """Find `words/<LABEL>/*` of each keyword; those without recordings are left out with a warning."""
    said = folder / "words"
    found = {label: _below(folder, words_by_voice(said, label)) for label in labels if label != background}
    if unknown := unmatched_folders(said, list(found)):
        warnings.warn(f"{said}: {some(unknown)}: no label is called so; not used", stacklevel=2)
    for label in found:
        if len(names := [path.name for path in folders_of(said, label)]) > 1:
            warnings.warn(f"{said}: {' and '.join(names)} are both read as {label}", stacklevel=2)
    if absent := [label for label, recordings in found.items() if not recordings]:
        warnings.warn(
            f"{folder}/words: no recordings of {' '.join(absent)}, so how often they are heard is not known",
            stacklevel=2,
        )
    return _eval_set([(labels.index(label), *recording) for label in found for recording in found[label]])


def find_near_misses(folder: Path, labels: list[str], background: str) -> EvalSet:
    """Find `near_misses/*`: words that sound like keywords and are none; absent ones are warned about."""
    found = _below(folder, by_voice(folder / "near_misses"))
    if not found:
        warnings.warn(f"{folder}/near_misses: no recordings, so near misses are not evaluated", stacklevel=2)
    return _eval_set([(labels.index(background), *recording) for recording in found])


def read_features(folder: Path, clips: EvalSet, front_end: FrontEnd) -> Features:
    """Return the features, float32 [n, 1, frames, n_mels], of the word in each recording of a set."""
    values = np.empty((len(clips), 1, front_end.n_frames, front_end.n_mels), np.float32)
    for row, name in enumerate(clips.files):
        audio = read_recording(folder / name, front_end.sample_rate)
        word = word_of(folder / name, audio, front_end.sample_rate, front_end.clip_s)
        values[row, 0] = features(centre(audio, word, front_end.clip_samples), front_end)
    return values


def choose_inputs(words: EvalSet, near_misses: EvalSet, size: int, seed: int) -> EvalSet:
    """Return up to `size` recordings: words, then near misses, each drawn at random but kept in order."""
    chosen = [_sample(words, size, seed), _sample(near_misses, size - min(size, len(words)), seed)]
    return EvalSet(
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


def _below(folder: Path, recordings: list[tuple[str, Path]]) -> list[tuple[str, str]]:
    """Return the recordings by their path below a folder, each with its voice."""
    return [(path.relative_to(folder).as_posix(), voice) for voice, path in recordings]


def _eval_set(found: list[tuple[int, str, str]]) -> EvalSet:
    labels = np.array([label for label, _, _ in found], np.int64)
    return EvalSet(labels, [name for _, name, _ in found], [voice for _, _, voice in found])


def _sample(clips: EvalSet, size: int, seed: int) -> EvalSet:
    order = np.sort(rng(seed, "board inputs", 0).permutation(len(clips))[:size])
    files, voices = ([values[i] for i in order] for values in (clips.files, clips.voices))
    return EvalSet(clips.labels[order], files, voices)
