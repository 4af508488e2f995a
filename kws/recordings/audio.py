"""Reading what people record: any format, any rate, any number of channels."""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import numpy as np
import soxr

from kws.common.errors import UserError
from kws.common.files import naming
from kws.common.types import Audio, Pcm
from kws.recordings.soundfiles import DAY, FORMATS, Limit, encoded, mono_blocks, open_sound

_SUFFIXES = """
    wav wave bwf rf64 w64 flac ogg oga opus mp3 mp2 aif aiff aifc au snd caf
    m4a m4b mp4 m4v mov 3gp 3gpp 3g2 aac amr webm weba mka mkv
"""
SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""What the names of sound files end in; what such a file holds is seen when it is read."""
LITTER = re.compile(
    r"\..*|desktop\.ini|(eh)?thumbs\.db|icon\r|.*[.:]zone\.identifier"
    r"|__macosx|@eadir|\$recycle\.bin|system volume information",
    re.IGNORECASE,
)
"""Names of files and folders that systems leave behind unasked; hidden ones are among them."""
UNFIT = ("Cc", "Cs", "Zl", "Zp")
"""Characters of names that would break a line or a manifest: controls, bytes that are no UTF-8, line ends."""
SILENCE = 1e-4
"""Peak below which a recording holds nothing: three steps of 16-bit audio."""
FULL = 0.999
"""Level from which on a sample counts as clipped."""
CLIPPED = 0.01
"""Share of clipped samples above which it is said: a voice reaches full scale for a few samples only."""
WORD_S = 0.2, 10.0
WORD_LENGTH = "a recording of a word takes 0.2 to 10 s"
WORD = Limit(WORD_S[1], WORD_LENGTH)
TELL_GB = 1.0
TOLD = 5
"""Names that a message tells."""
BLOCK = 2**22
"""Samples of all channels that are decoded at a time."""


def audio_files(folder: Path, optional: bool = False, besides: tuple[str, ...] = ()) -> list[Path]:
    """Return the sound files under `folder`, sorted by name, told by what their names end in.

    Litter and `besides` are passed over, all other files too, but with a warning. Folders that are symbolic
    links are followed, each folder once. Raises UserError where the folder is missing, holds a name that
    cannot be printed or what is no file, or holds no audio at all and is not optional.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; create it and put recordings in it: {FORMATS}")
    files = sorted(p for p in _walk(folder) if p.name not in besides)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: is a broken link, a pipe or a device; remove it from the folder")
    sounds = [path for path in files if path.suffix.lower() in SUFFIXES]
    foreign = [path for path in files if path.suffix.lower() not in SUFFIXES]
    if foreign:
        names = some([path.relative_to(folder).as_posix() for path in foreign])
        verb = "is no sound file by its name" if len(foreign) == 1 else "are no sound files by their names"
        warnings.warn(f"{folder}: {names} {verb}; passed over", stacklevel=2)
    if not sounds and not optional:
        raise UserError(f"{folder}: holds no audio; put at least one recording in it: {FORMATS}")
    return sounds


def some(names: list[str]) -> str:
    """Return the first of many names, and how many more there are."""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all that is no folder and no litter under `folder`; a folder met before is left out."""
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
        folders[:], names = ([n for n in kept if not LITTER.fullmatch(n)] for kept in (folders, names))
        for name in [*folders, *names]:
            if not name.isprintable() and any(category(c) in UNFIT for c in name):
                raise UserError(f"{parent}: holds {name!r}, a name that cannot be printed; rename it")
        folders[:] = [name for name in sorted(folders) if is_new(Path(parent, name))]
        yield from (Path(parent, name) for name in names)


def read_audio(path: Path, rate: int) -> Audio:
    """Read a file as mono float32 [samples] in -1..1 at `rate` Hz; of channels see `mono_blocks`.

    Warns of what takes much memory, of floats beyond -1..1, which are scaled down, and of clipped samples.
    Raises UserError for a file that cannot be decoded, is empty, cut off or longer than a day, or holds NaN
    or infinity.
    """
    return _read(path, rate, DAY)


def read_recording(path: Path, rate: int) -> Audio:
    """Read a recording of a word: as `read_audio`, 0.2 to 10 s long and not silent, or UserError."""
    audio = _read(path, rate, WORD)
    seconds = len(audio) / rate
    if seconds < WORD_S[0]:
        raise UserError(f"{path}: is {seconds:.2f} s long; {WORD_LENGTH}")
    if np.abs(audio).max() < SILENCE:
        raise UserError(f"{path}: is silent; check the microphone and record it again")
    return audio


def _read(path: Path, rate: int, limit: Limit) -> Audio:
    """Return all of a file whose header says that it is within the limit."""
    with open_sound(path, limit) as file:
        own, seconds = file.samplerate, file.frames / file.samplerate
        gigabytes = 4 * seconds * (own + max(own, rate)) / 1e9
        if gigabytes > TELL_GB:
            hours = seconds / 3600
            warnings.warn(f"{path}: is {hours:.1f} h long; reading it takes {gigabytes:.1f} GB", stacklevel=3)
        blocks = list(mono_blocks(file, path, max(1, BLOCK // file.channels)))
    clipped = sum(int(np.count_nonzero(np.abs(block) >= FULL)) for block in blocks)
    mono: Audio = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    if clipped > CLIPPED * len(mono):
        share = clipped / len(mono)
        warnings.warn(f"{path}: {share:.1%} of its samples are clipped; record it lower", stacklevel=3)
    resampled: Audio = mono if own == rate else soxr.resample(mono, own, rate)
    return resampled


def is_copy(a: Audio, b: Audio) -> bool:
    """Say whether two recordings are one take, whatever the file format, the channels, level and sign."""
    if len(a) != len(b):
        return False
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return norm > 0 and abs(float(np.dot(a, b))) / norm > 0.999


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
