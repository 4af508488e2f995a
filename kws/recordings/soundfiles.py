"""Sound files, opened and read so that whatever is wrong with one is told in one line."""

import io
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kws.common.errors import UserError
from kws.common.types import Audio, Pcm

UNKNOWN_LENGTH = 0x7FFF0000
"""Lengths in bytes from here on are what programs write into a WAV header that they cannot go back to."""
UNKNOWN_FRAMES = 2**62
"""What libsndfile says of a FLAC that was written to a pipe."""
RATES = 2_000, 768_000
"""Hz; no recorder is slower and no converter faster."""
_OGG_FIRST = b"OggS\0\2"
"""How the first page of a stream begins."""
_OGG_PAGE = 27 + 255 + 255 * 255
"""Bytes of the longest page."""


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open a WAV, FLAC or OGG file; UserError where its header cannot be read or says what cannot be."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the files in it, as {path / '*.wav'}")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is a pipe or a device, which cannot be read as a file; name a file")
    try:
        path.stat()
        # as bytes where names are bytes, because not every name is UTF-8
        file = soundfile.SoundFile(os.fspath(path) if os.name == "nt" else os.fsencode(path))
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error.error_string) from error
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    problem = None
    if not RATES[0] <= file.samplerate <= RATES[1]:
        low, high = RATES
        problem = f"{path}: claims a rate of {file.samplerate} Hz, expected {low} to {high}; export it again"
    elif file.frames >= UNKNOWN_FRAMES:
        problem = f"{path}: does not say how long it is, as if written to a pipe; convert it to WAV"
    if problem:
        file.close()
        raise UserError(problem)
    return file


def mono_blocks(file: soundfile.SoundFile, path: Path, frames: int) -> Iterator[Audio]:
    """Yield all of an open file as float32 [samples], `frames` or fewer at a time; channels are averaged.

    All that can be read is yielded before UserError is raised for a file that is empty, broken, shorter than
    its header promises, cut off, or holds NaN or infinity.
    """
    done = 0
    while len(samples := _read(file, path, frames, done)):
        if not np.isfinite(samples).all():
            at = done / file.samplerate
            raise UserError(
                f"{path}: holds NaN or infinite samples after {at:.1f} s; export it as 16-bit PCM"
            )
        done += len(samples)
        yield samples.mean(axis=1, dtype=np.float32)
    if missing := _missing(file, path, done):
        raise UserError(f"{path}: ends at {done / file.samplerate:.2f} s, {missing}; copy it again")
    if not done:
        raise UserError(f"{path}: is empty; record it again")


def read_frames(file: soundfile.SoundFile, path: Path, start: int, frames: int) -> Audio:
    """Return float32 [samples] of an open file from frame `start` on, as many of `frames` as there are."""
    with _told(file, path, start):
        file.seek(min(start, file.frames))
    mono: Audio = _read(file, path, frames, start).mean(axis=1, dtype=np.float32)
    return mono


def encoded(audio: Audio | Pcm, rate: int, form: str) -> bytes:
    """Return samples as a file of 16-bit PCM, `WAV` or another format of libsndfile."""
    content = io.BytesIO()
    soundfile.write(content, audio, rate, subtype="PCM_16", format=form)
    return content.getvalue()


def _read(file: soundfile.SoundFile, path: Path, frames: int, done: int) -> Any:
    with _told(file, path, done):
        return file.read(frames, dtype="float32", always_2d=True)


@contextmanager
def _told(file: soundfile.SoundFile, path: Path, frame: int) -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as error:
        at = frame / file.samplerate
        raise UserError(
            f"{path}: cannot be read after {at:.1f} s ({error.error_string}); copy or export it again"
        ) from error


def _missing(file: soundfile.SoundFile, path: Path, frames: int) -> str | None:
    """Return what a file of which `frames` were read lacks: libsndfile only logs what is not there."""
    promised = file.frames
    # "data : <promised> (should be <found>)", in bytes
    found = re.search(r"^data : (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if found and int(found[1]) < UNKNOWN_LENGTH:
        promised = round(frames * int(found[1]) / max(1, int(found[2])))
    if file.format in ("WAV", "WAVEX", "RF64", "FLAC", "OGG") and frames < promised:
        return f"its header promises {promised / file.samplerate:.2f} s"
    return _ogg_missing(path) if file.format == "OGG" else None


def _ogg_missing(path: Path) -> str | None:
    """Return what an OGG file lacks: a last page, whole and marked as such, of the only stream (RFC 3533)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_OGG_FIRST, 1) > 0:
            return "where a second stream begins, which is not read; join them into one"
        start = content.rfind(b"OggS\0")
        page = content[start : start + _OGG_PAGE] if start >= 0 else b""
    n_segments = page[26] if len(page) >= 27 else 0
    if not n_segments or not page[5] & 4 or len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments]):
        return "before the page that ends every OGG file"
    return None


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(f"{path}: cannot be read as audio ({why}); record or export it again")
