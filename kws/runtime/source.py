"""Where audio comes from: files, raw samples on a pipe, and either of them as fast as a microphone gives it.

Each source is an iterator of blocks of mono float32 at the model's rate; none holds more than a block.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kws.common.errors import UserError
from kws.common.types import Audio
from kws.recordings.soundfiles import mono_blocks, open_sound


def read_blocks(path: Path, rate: int, block_s: float, channel: int | None = None) -> Iterator[Audio]:
    """Yield a sound file as mono float32 [samples] at `rate` Hz; of channels and levels see `mono_blocks`.

    The samples are those that `kws.recordings.audio.read_audio` returns, whatever the length of a block. All
    that can be read is yielded before UserError is raised for a file that is empty, broken, shorter than its
    header promises, cut off, or holds NaN or infinity; phones' formats are decoded before the first block.
    """
    with open_sound(path) as file:
        blocks = mono_blocks(file, path, round(block_s * file.samplerate), channel)
        yield from resample(blocks, file.samplerate, rate)


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
