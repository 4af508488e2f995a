"""Reading what people record: WAV, FLAC or OGG, any rate, any number of channels."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import numpy as np
import soxr

from kws.common.errors import UserError
from kws.common.files import naming
from kws.common.types import Audio, Pcm
from kws.recordings.soundfiles import encoded, mono_blocks, open_sound

SUFFIXES = (".wav", ".flac", ".ogg")
UNFIT = ("Cc", "Cs", "Zl", "Zp")
"""Characters of names that would break a line or a manifest: controls, bytes that are no UTF-8, line ends."""
SILENCE = 1e-4
"""Peak below which a recording holds nothing: three steps of 16-bit audio."""
LOUDEST = 2.0
"""Peak of float samples above which they are on another scale, or clipped beyond recognition."""
WORD_S = 0.2, 10.0
WORD_LENGTH = "a recording of a word takes 0.2 to 10 s"
DAY_S = 24 * 3600
"""Longest file that is read at once: at 16 kHz its samples take 5.5 GB."""
TELL_GB = 1.0
BLOCK = 2**22
"""Samples of all channels that are decoded at a time."""


def audio_files(folder: Path, optional: bool = False, besides: tuple[str, ...] = ()) -> list[Path]:
    """Return the audio files under `folder`, sorted by name; hidden files and `besides` are passed over.

    Folders that are symbolic links are followed, each folder once.
    Raises UserError where the folder is missing, holds what is not an audio file or has a name that cannot
    be printed, or holds no audio at all and is not optional.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; create it and put WAV, FLAC or OGG files in it")
    files = sorted(p for p in _walk(folder) if not p.name.startswith(".") and p.name not in besides)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: is a broken link, a pipe or a device; remove it from the folder")
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: not a WAV, FLAC or OGG file; convert it or move it out of the folder")
    if not files and not optional:
        raise UserError(f"{folder}: holds no audio; put at least one WAV, FLAC or OGG file in it")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all that is no folder under `folder`; a folder met before under another name is left out."""
    seen: dict[Path, Path] = {}

    def is_new(found: Path) -> bool:
        first = seen.setdefault(found.resolve(), found)
        if first is not found:
            warnings.warn(f"{found}: is the same folder as {first}; read once", stacklevel=2)
        return first is found

    def fail(error: OSError) -> None:
        raise error  # a folder that may not be listed is no empty one

    is_new(folder)
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        for name in [*folders, *names]:
            if not name.isprintable() and any(category(c) in UNFIT for c in name):
                raise UserError(f"{parent}: holds {name!r}, a name that cannot be printed; rename it")
        folders[:] = [name for name in sorted(folders) if is_new(Path(parent, name))]
        yield from (Path(parent, name) for name in names)


def read_audio(path: Path, rate: int) -> Audio:
    """Read a file as mono float32 [samples] in -1..1 at `rate` Hz; channels are averaged.

    Warns of what takes much memory, and of floats beyond -1..1, which are clipped.
    Raises UserError for a file that cannot be decoded, is empty, cut off or longer than a day, or holds NaN,
    infinity or floats far beyond -1..1.
    """
    return _read(path, rate, DAY_S, "cut it into files of a day at most")


def read_recording(path: Path, rate: int) -> Audio:
    """Read a recording of a word: as `read_audio`, 0.2 to 10 s long and not silent, or UserError."""
    audio = _read(path, rate, WORD_S[1], WORD_LENGTH)
    seconds = len(audio) / rate
    if seconds < WORD_S[0]:
        raise UserError(f"{path}: is {seconds:.2f} s long; {WORD_LENGTH}")
    if np.abs(audio).max() < SILENCE:
        raise UserError(f"{path}: is silent; check the microphone and record it again")
    return audio


def _read(path: Path, rate: int, longest_s: float, advice: str) -> Audio:
    """Return all of a file whose header says that it is no longer than `longest_s`."""
    with open_sound(path) as file:
        seconds = file.frames / file.samplerate
        if seconds > longest_s:
            raise UserError(f"{path}: is {seconds:.2f} s long; {advice}")
        gigabytes = 4 * seconds * (file.samplerate + max(file.samplerate, rate)) / 1e9
        if gigabytes > TELL_GB:
            hours = seconds / 3600
            warnings.warn(f"{path}: is {hours:.1f} h long; reading it takes {gigabytes:.1f} GB", stacklevel=3)
        blocks = list(mono_blocks(file, path, max(1, BLOCK // file.channels)))
        mono: Audio = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if file.subtype in ("FLOAT", "DOUBLE"):
            mono = _clip(mono, path)
        if file.samplerate == rate:
            return mono
        resampled: Audio = soxr.resample(mono, file.samplerate, rate)
        return resampled


def _clip(mono: Audio, path: Path) -> Audio:
    """Return floats as a 16-bit file would hold them; UserError where little of the sound would be left."""
    peak = float(np.abs(mono).max())
    if peak > LOUDEST:
        raise UserError(f"{path}: its samples reach {peak:.4g}, expected -1..1; export it as 16-bit PCM")
    if peak > 1:
        share = float(np.mean(np.abs(mono) > 1))
        message = f"{path}: its samples reach {peak:.2f}, so {share:.2%} of them are clipped; record it lower"
        warnings.warn(message, stacklevel=4)
    return np.clip(mono, -1, 1)


def is_copy(a: Audio, b: Audio) -> bool:
    """Say whether two recordings are one take, whatever the file format, the channels or the level."""
    if len(a) != len(b):
        return False
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return norm > 0 and float(np.dot(a, b)) / norm > 0.999


def drop_copies(recordings: dict[Path, Audio]) -> dict[Path, Audio]:
    """Return the recordings without later copies of earlier ones; each copy is warned about."""
    kept: dict[Path, Audio] = {}
    for path, audio in recordings.items():
        original = next((other for other in kept if is_copy(kept[other], audio)), None)
        if original is None:
            kept[path] = audio
        else:
            warnings.warn(f"{path}: has the same content as {original.name}; ignored", stacklevel=2)
    return kept


def write_sound(path: Path, audio: Audio | Pcm, rate: int) -> None:
    """Write 16-bit PCM in the format of the suffix; a full disk is an OSError that names the file."""
    content = encoded(audio, rate, path.suffix[1:].upper())
    with naming(path):
        path.write_bytes(content)


def to_int16(audio: Audio) -> Pcm:
    """Round float audio in -1..1 to 16-bit PCM; what lies outside is clipped."""
    return np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)


def to_float(pcm: Pcm) -> Audio:
    """Return 16-bit PCM as float32 in -1..1."""
    return pcm.astype(np.float32) / np.float32(32768)
