"""Recordings by voices that no model was trained on, one clip each."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.audio import audio_files, read_recording
from kws.features import FrontEnd, features
from kws.seeding import rng
from kws.types import Audio, Features, Labels
from kws.word import find_word

FLOOR = np.float32(10 ** (-70 / 20))
"""RMS of the self-noise under every clip: -70 dB below full scale."""


@dataclass(frozen=True)
class EvalSet:
    """Clips with their true labels; a near miss is labelled as background."""

    features: Features
    """float32 [n, 1, frames, n_mels]"""
    labels: Labels
    files: list[str]

    def __len__(self) -> int:
        """Clips in the set."""
        return len(self.files)


def load_eval_words(folder: Path, labels: list[str], background: str, front_end: FrontEnd) -> EvalSet:
    """Read `words/<LABEL>/*` of each keyword; a keyword without a folder is left out with a warning."""
    clips = []
    for index, label in enumerate(labels):
        if label == background:
            continue
        if (folder / "words" / label).is_dir():
            clips += [(index, name, audio) for name, audio in _read(folder, f"words/{label}", front_end)]
        else:
            warnings.warn(f"{folder}/words/{label}: missing, so {label} is not evaluated", stacklevel=2)
    return _eval_set(clips, front_end)


def load_near_misses(folder: Path, labels: list[str], background: str, front_end: FrontEnd) -> EvalSet:
    """Read `near_misses/*`: words that sound like keywords and are none; absent ones are warned about."""
    if not (folder / "near_misses").is_dir():
        warnings.warn(f"{folder}/near_misses: missing, so near misses are not evaluated", stacklevel=2)
        return _eval_set([], front_end)
    index = labels.index(background)
    clips = [(index, name, audio) for name, audio in _read(folder, "near_misses", front_end)]
    return _eval_set(clips, front_end)


def choose_inputs(words: EvalSet, near_misses: EvalSet, size: int, seed: int) -> EvalSet:
    """Return up to `size` clips: words first, then near misses, each drawn at random but kept in order."""
    chosen = [_sample(words, size, seed), _sample(near_misses, size - min(size, len(words)), seed)]
    return EvalSet(
        np.concatenate([c.features for c in chosen]),
        np.concatenate([c.labels for c in chosen]),
        [name for c in chosen for name in c.files],
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


def _read(folder: Path, part: str, front_end: FrontEnd) -> Iterator[tuple[str, Audio]]:
    for path in audio_files(folder / part):
        audio = read_recording(path, front_end.sample_rate)
        word = find_word(audio, front_end.sample_rate, front_end.clip_s)
        yield path.relative_to(folder).as_posix(), centre(audio, word, front_end.clip_samples)


def _eval_set(clips: list[tuple[int, str, Audio]], front_end: FrontEnd) -> EvalSet:
    shape = (len(clips), 1, front_end.n_frames, front_end.n_mels)
    values = np.empty(shape, np.float32)
    for row, (_, _, audio) in enumerate(clips):
        values[row, 0] = features(audio, front_end)
    return EvalSet(
        values, np.array([index for index, _, _ in clips], np.int64), [name for _, name, _ in clips]
    )


def _sample(clips: EvalSet, size: int, seed: int) -> EvalSet:
    order = np.sort(rng(seed, "board inputs", 0).permutation(len(clips))[:size])
    return EvalSet(clips.features[order], clips.labels[order], [clips.files[i] for i in order])
