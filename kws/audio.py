"""Reading what people record: WAV, FLAC or OGG, any rate, any number of channels."""

import os
import warnings
from pathlib import Path

import numpy as np
import soundfile
import soxr

from kws.errors import UserError
from kws.types import Audio, Pcm

SUFFIXES = (".wav", ".flac", ".ogg")
SILENCE = 1e-4
"""Peak below which a recording holds nothing: three steps of 16-bit audio."""


def audio_files(folder: Path, optional: bool = False, besides: tuple[str, ...] = ()) -> list[Path]:
    """Return the audio files under `folder`, sorted by name; hidden files and `besides` are passed over.

    Folders that are symbolic links are followed.
    Raises UserError where the folder is missing, holds a file that is not audio, or holds no audio at all
    and is not optional.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; create it and put WAV, FLAC or OGG files in it")
    found = (Path(parent, name) for parent, _, names in os.walk(folder, followlinks=True) for name in names)
    files = sorted(p for p in found if p.is_file() and not p.name.startswith(".") and p.name not in besides)
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: not a WAV, FLAC or OGG file; convert it or move it out of the folder")
    if not files and not optional:
        raise UserError(f"{folder}: holds no audio; put at least one WAV, FLAC or OGG file in it")
    return files


def read_audio(path: Path, rate: int) -> Audio:
    """Read a file as mono float32 [samples] in -1..1 at `rate` Hz; channels are averaged.

    Raises UserError for a file that cannot be decoded, is empty, or holds NaN or infinity.
    """
    try:
        samples, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot be read as audio ({error}); record or export it again") from error
    if samples.size == 0:
        raise UserError(f"{path}: is empty; record it again")
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: holds NaN or infinite samples; export it again as 16-bit PCM")
    mono: Audio = samples.mean(axis=1, dtype=np.float32)
    if file_rate == rate:
        return mono
    resampled: Audio = soxr.resample(mono, file_rate, rate)
    return resampled


def read_recording(path: Path, rate: int) -> Audio:
    """Read a recording of a word: as `read_audio`, 0.2 to 10 s long and not silent, or UserError."""
    audio = read_audio(path, rate)
    seconds = len(audio) / rate
    if not 0.2 <= seconds <= 10:
        raise UserError(f"{path}: is {seconds:.2f} s long; a recording of a word takes 0.2 to 10 s")
    if np.abs(audio).max() < SILENCE:
        raise UserError(f"{path}: is silent; check the microphone and record it again")
    return audio


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


def to_int16(audio: Audio) -> Pcm:
    """Round float audio in -1..1 to 16-bit PCM; what lies outside is clipped."""
    return np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)


def to_float(pcm: Pcm) -> Audio:
    """Return 16-bit PCM as float32 in -1..1."""
    return pcm.astype(np.float32) / np.float32(32768)
