"""What clips are made from: recordings of a word, background, speech and room impulse responses."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kws.audio import audio_files, drop_copies, read_audio, read_recording, to_float, to_int16
from kws.errors import UserError
from kws.files import sha256
from kws.types import Audio, Pcm
from kws.word import find_word

Kind = Literal["keyword", "speech", "background"]


@dataclass(frozen=True)
class Bank:
    """Audio files end to end in one int16 array, which worker processes map rather than copy."""

    samples: Pcm
    offsets: dict[str, tuple[int, int]]
    hashes: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The files, by the order they were read in."""
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
    """All that one label's clips are made from."""

    words: Bank
    background: Bank
    speech: Bank
    rirs: Audio

    def bank(self, kind: Kind) -> Bank:
        """Return the files that clips of a kind are made from."""
        return {"keyword": self.words, "speech": self.speech, "background": self.background}[kind]


def read_words(folder: Path, rate: int, longest_s: float) -> Bank:
    """Return the words of a label's recordings, cut out by energy.

    Copies and words longer than `longest_s` are left out with a warning; UserError where nothing remains.
    """
    recordings = drop_copies({path: read_recording(path, rate) for path in audio_files(folder)})
    words = {path: audio[find_word(audio, rate, longest_s)] for path, audio in recordings.items()}
    too_long = {path: len(word) / rate for path, word in words.items() if len(word) > longest_s * rate}
    for path, seconds in too_long.items():
        warnings.warn(
            f"{path}: its word takes {seconds:.2f} s, longer than a clip of {longest_s} s; ignored",
            stacklevel=2,
        )
    kept = {path: word for path, word in words.items() if path not in too_long}
    if not kept:
        raise UserError(f"{folder}: no word fits in {longest_s} s; record it faster or raise features.clip_s")
    return _bank(kept, folder)


def read_bank(folder: Path, rate: int) -> Bank:
    """Return all audio files under a folder."""
    return _bank({path: read_audio(path, rate) for path in audio_files(folder)}, folder)


def empty_bank() -> Bank:
    """Return a bank of nothing, for a label that needs no such source."""
    return Bank(np.zeros(0, np.int16), {}, {})


def _bank(audio: dict[Path, Audio], folder: Path) -> Bank:
    bounds = np.concatenate([[0], np.cumsum([len(a) for a in audio.values()])])
    names = [path.relative_to(folder).as_posix() for path in audio]
    offsets = {n: (int(a), int(b)) for n, a, b in zip(names, bounds, bounds[1:], strict=False)}
    hashes = {name: sha256(path) for name, path in zip(names, audio, strict=True)}
    return Bank(to_int16(np.concatenate(list(audio.values()))), offsets, hashes)
