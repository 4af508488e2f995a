"""Where audio comes from: files, raw samples on a pipe, and either of them as fast as a microphone gives it.

Each source is an iterator of blocks of mono float32 at the model's rate; none holds more than a block.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from kws.errors import UserError
from kws.types import Audio

UNKNOWN_LENGTH = 0x7FFF0000
"""Lengths from here on are what programs write into a header that they cannot go back to."""


def read_blocks(path: Path, rate: int, block_s: float) -> Iterator[Audio]:
    """Yield a WAV, FLAC or OGG file as mono float32 [samples] at `rate` Hz; channels are averaged.

    The samples are those that `kws.audio.read_audio` returns, whatever the length of a block. All that can
    be read is yielded before UserError is raised for a file that is empty, broken, shorter than its header
    promises, or holds NaN or infinity; and at once for one that is absent or a folder.
    """
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name the files in it, as {path / '*.wav'}")
        if not path.exists():
            raise UserError(f"{path}: no such file; check the path")
        if not os.access(path, os.R_OK):
            raise UserError(f"{path}: may not be read; change its permissions")
        with soundfile.SoundFile(path) as file:
            yield from resample(
                _mono_blocks(file, path, round(block_s * file.samplerate)), file.samplerate, rate
            )
            _check_length(file, path)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot be read as audio ({error}); record or export it again") from error


def _check_length(file: soundfile.SoundFile, path: Path) -> None:
    """Raise UserError for a WAV that libsndfile found shorter than its header says; it only logs that."""
    found = re.search(r"^data : (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if found and int(found[1]) < UNKNOWN_LENGTH:
        seconds = file.frames / file.samplerate
        promised = seconds * int(found[1]) / int(found[2])
        raise UserError(
            f"{path}: ends at {seconds:.2f} s, its header promises {promised:.2f} s; copy it again"
        )


def _mono_blocks(file: soundfile.SoundFile, path: Path, frames: int) -> Iterator[Audio]:
    done = 0
    while len(samples := _read(file, path, frames, done)):
        if not np.isfinite(samples).all():
            at = done / file.samplerate
            raise UserError(
                f"{path}: holds NaN or infinite samples after {at:.1f} s; export it as 16-bit PCM"
            )
        done += len(samples)
        yield samples.mean(axis=1, dtype=np.float32)
    if not done:
        raise UserError(f"{path}: is empty; record it again")


def _read(file: soundfile.SoundFile, path: Path, frames: int, done: int) -> Any:
    try:
        return file.read(frames, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        at = done / file.samplerate
        raise UserError(
            f"{path}: cannot be read after {at:.1f} s ({error}); copy or export it again"
        ) from error


def pcm_blocks(stream: BinaryIO, rate: int, block_s: float) -> Iterator[Audio]:
    """Yield raw mono 16-bit little-endian samples at `rate` Hz, as `arecord -t raw` writes them."""
    width = 2 * round(block_s * rate)
    while block := stream.read(width):
        yield np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)


def resample(blocks: Iterator[Audio], source: int, rate: int) -> Iterator[Audio]:
    """Yield blocks at another rate: the samples that resampling the whole at once gives."""
    if source == rate:
        yield from blocks
        return
    try:
        import soxr
    except ImportError as error:
        raise UserError(
            f"audio at {source} Hz: the model needs {rate} Hz; `pip install soxr`, or record at {rate} Hz"
        ) from error
    stream = soxr.ResampleStream(source, rate, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def in_real_time(
    blocks: Iterator[Audio],
    rate: int,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Audio]:
    """Yield each block once as much time has passed as a microphone takes to record it."""
    due = clock()
    for block in blocks:
        due += len(block) / rate
        sleep(max(0.0, due - clock()))
        yield block
