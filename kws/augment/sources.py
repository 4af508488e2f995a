"""What clips are made from: recordings of words, background, speech and room impulse responses."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.common.errors import UserError
from kws.common.files import sha256
from kws.common.types import Audio, Pcm
from kws.recordings.audio import (
    audio_files,
    drop_copies,
    read_audio,
    some,
    to_float,
    to_int16,
)
from kws.recordings.names import folders_of, of_voice, unmatched
from kws.recordings.verdict import judge


@dataclass(frozen=True)
class Bank:
    """Audio files end to end in one int16 array, which worker processes map rather than copy."""

    samples: Pcm
    offsets: dict[str, tuple[int, int]]
    hashes: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The files, in the order they were read in."""
        return list(self.offsets)

    def length(self, name: str) -> int:
        """Samples of one file."""
        start, stop = self.offsets[name]
        return stop - start

    def segment(self, name: str, start: int, length: int) -> Audio:
        """Return float32 [length] of a file from sample `start` on, repeating a file that is too short."""
        first, stop = self.offsets[name]
        indices = first + (start + np.arange(length)) % (stop - first)
        return to_float(self.samples[indices])


@dataclass(frozen=True)
class Sources:
    """All that a shard of clips is made from; `words` has one bank a label."""

    words: dict[str, Bank]
    background: Bank
    speech: Bank
    rirs: Audio

    def word(self, name: str) -> Audio:
        """Return one recording's word, float32 [samples]."""
        bank = next(bank for bank in self.words.values() if name in bank.offsets)
        return bank.segment(name, 0, bank.length(name))


def word_files(label: str, seeds: Path, voices: Path) -> dict[Path, str]:
    """Return the recordings of a keyword, of `<seeds>/<label>/` and of the voices, each with its name."""
    files = {path: path.relative_to(seeds).as_posix() for path in audio_files(seeds / label)}
    with warnings.catch_warnings(action="ignore"):  # `warn_of_unused` says it once, and not for every label
        below = {path: path.relative_to(voices) for path in audio_files(voices, optional=True)}
    return files | {path: name.as_posix() for path, name in below.items() if of_voice(name, label)}


def read_words(label: str, seeds: Path, voices: Path, rate: int, longest_s: float) -> Bank:
    """Return the words in the recordings of a keyword; several takes in one are several words.

    What is doubtful is warned about. Copies, recordings without a word, and words longer than `longest_s`
    are left out, with a warning. Raises UserError where a recording cannot be read, or no word remains.
    """
    names, words = word_files(label, seeds, voices), dict[str, tuple[Path, Audio]]()
    verdicts = {path: judge(path, rate, longest_s) for path in names}
    unlike = drop_copies({path: verdict.samples() for path, verdict in verdicts.items()})
    for path, audio in unlike.items():
        for reason in verdicts[path].reasons:
            message = f"{path}: {reason}{'; ignored' if verdicts[path].problem else ''}"
            warnings.warn(message, stacklevel=2)
        for number, word in enumerate(verdicts[path].words, start=1):
            words[names[path] + (f" take {number}" if number > 1 else "")] = path, audio[word]
    if not words:
        raise UserError(f"{seeds / label}: holds no word that can be used (see above); record it again")
    return _bank(words)


def warn_of_unused(seeds: Path, voices: Path, labels: list[str]) -> None:
    """Warn of recordings that no label uses though they were meant to be, in a line for each folder."""
    if unused := unmatched(voices, labels):
        message = f"{voices}: {some(unused)}: no label is called so; not used"
        warnings.warn(f"{message}, a voice's file is <LABEL>.wav", stacklevel=2)
    for label in labels:
        if other := [path.name for path in folders_of(seeds, label) if path.name != label]:
            message = f"{seeds}: {some(other)}: not used; move what is in it to {label}, which is"
            warnings.warn(message, stacklevel=2)


def read_bank(folder: Path, rate: int) -> Bank:
    """Return all audio files under a folder."""
    return _bank(
        {path.relative_to(folder).as_posix(): (path, read_audio(path, rate)) for path in audio_files(folder)}
    )


def empty_bank() -> Bank:
    """Return a bank of nothing, for a shard that needs no such source."""
    return Bank(np.zeros(0, np.int16), {}, {})


def _bank(files: dict[str, tuple[Path, Audio]]) -> Bank:
    bounds = np.concatenate([[0], np.cumsum([len(audio) for _, audio in files.values()])])
    offsets = {n: (int(a), int(b)) for n, a, b in zip(files, bounds, bounds[1:], strict=False)}
    hashes = {name: sha256(path) for name, (path, _) in files.items()}
    return Bank(to_int16(np.concatenate([audio for _, audio in files.values()])), offsets, hashes)
