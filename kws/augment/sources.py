"""What clips are made from: recordings of words, background, speech and room impulse responses."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np

from kws.common.errors import UserError
from kws.common.files import sha256
from kws.common.types import Audio, Pcm
from kws.recordings.audio import audio_files, drop_copies, read_audio, read_recording, to_float, to_int16
from kws.recordings.word import find_word


@dataclass(frozen=True)
class Bank:
    """Audio files end to end in one int16 array."""

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
        turns = -(-(start + length) // (stop - first))
        samples = self.samples[first:stop]
        return to_float((samples if turns == 1 else np.tile(samples, turns))[start : start + length])


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


def read_words(label: str, seeds: Path, voices: Path, rate: int, longest_s: float) -> Bank:
    """Return the words of `<seeds>/<label>/*` and `<voices>/<voice>/<label>.*`, cut out by energy.

    Copies and words longer than `longest_s` are left out with a warning; UserError where nothing remains.
    """
    paths = {path: path.relative_to(seeds).as_posix() for path in audio_files(seeds / label)}
    spoken = [path for path in audio_files(voices, optional=True) if _spelt(path.stem) == _spelt(label)]
    paths |= {path: path.relative_to(voices).as_posix() for path in spoken}
    recordings = drop_copies({path: read_recording(path, rate) for path in paths})
    words = {path: audio[find_word(audio, rate, longest_s)] for path, audio in recordings.items()}
    too_long = {path: len(word) / rate for path, word in words.items() if len(word) > longest_s * rate}
    for path, seconds in too_long.items():
        message = f"{path}: its word takes {seconds:.2f} s, longer than a clip of {longest_s} s; ignored"
        warnings.warn(message, stacklevel=2)
    kept = {path: word for path, word in words.items() if path not in too_long}
    if not kept:
        raise UserError(
            f"{seeds / label}: no word fits in {longest_s} s; record it faster or raise features.clip_s"
        )
    return _bank({paths[path]: (path, word) for path, word in kept.items()})


def warn_of_unused(voices: Path, labels: list[str]) -> None:
    """Warn of the recordings in `<voices>/<voice>/` that are of none of these labels, in one line."""
    found = {_spelt(path.stem) for path in audio_files(voices, optional=True)}
    unused = sorted(found - set(map(_spelt, labels)))
    if unused:
        some = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
        message = f"{voices}: no label is called {some}, so these recordings are unused"
        warnings.warn(f"{message}; a voice's file is <LABEL>.wav, spelt as in labels", stacklevel=2)


def read_bank(folder: Path, rate: int) -> Bank:
    """Return all audio files under a folder."""
    return _bank(
        {path.relative_to(folder).as_posix(): (path, read_audio(path, rate)) for path in audio_files(folder)}
    )


def empty_bank() -> Bank:
    """Return a bank of nothing, for a shard that needs no such source."""
    return Bank(np.zeros(0, np.int16), {}, {})


def _spelt(name: str) -> str:
    """Return a name in one spelling: some systems store an Ñ as an N and a tilde."""
    return normalize("NFC", name)


def _bank(files: dict[str, tuple[Path, Audio]]) -> Bank:
    bounds = np.concatenate([[0], np.cumsum([len(audio) for _, audio in files.values()])])
    offsets = {n: (int(a), int(b)) for n, a, b in zip(files, bounds, bounds[1:], strict=False)}
    hashes = {name: sha256(path) for name, (path, _) in files.items()}
    return Bank(to_int16(np.concatenate([audio for _, audio in files.values()])), offsets, hashes)
