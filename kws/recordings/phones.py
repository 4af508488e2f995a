"""What libsndfile cannot read or tell, as what phones and browsers record: PyAV can, if it is there."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kws.common.errors import UserError

HEAD = 64
"""Bytes at the beginning of a file, or after its tag, that tell what it is."""
_WEBM_PARTS = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
"""Elements that hold the others: Segment and Cluster."""
_ELEMENTS = 10**7
"""More than a day of sound has."""
_TAGS = 10
"""More than any program puts before the sound."""
_MP3_LENGTHS = b"Xing", b"Info", b"VBRI"
"""What the first frame of an MP3 holds if it tells how long the file is."""


@dataclass(frozen=True)
class Container:
    """What a file is, by its content."""

    name: str
    demuxer: str
    """FFmpeg's name for it"""
    spare_s: float | None
    """Seconds that its header may count and no decoder returns: what encoders put around the sound.
    None where it does not tell its length."""


M4A = Container("M4A, MP4 or 3GP", "mov", 0.15)
WEBM = Container("WebM", "matroska", 0.05)
AMR = Container("AMR", "amr", None)
AAC = Container("AAC", "aac", None)
MP3 = Container("MP3", "mp3", 0.01)
MP3_OF_NO_LENGTH = Container("MP3", "mp3", None)


def container_of(head: bytes) -> Container | None:
    """Return what begins with these HEAD bytes, or None for what is left to libsndfile.

    MP3 is not left to it: of one with a varying bit rate and no length it reads a part, and says nothing.
    """
    if head[4:8] == b"ftyp":
        return M4A
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM
    if head.startswith(b"#!AMR"):
        return AMR
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    if not head[1] & 0b110:  # the layer, which AAC has none of
        return AAC if head[1] >= 0xF0 else None
    return MP3 if any(name in head for name in _MP3_LENGTHS) else MP3_OF_NO_LENGTH


def look(file: IO[bytes]) -> Container | None:
    """Return what a file is, behind the tags (ID3v2) that many an MP3 and some AAC begin with."""
    at, head = 0, file.read(HEAD)
    for _ in range(_TAGS):
        if not head.startswith(b"ID3") or len(head) < 10:
            break
        a, b, c, d = (byte & 0x7F for byte in head[6:10])
        at += 10 + (a << 21 | b << 14 | c << 7 | d)
        file.seek(at)
        head = file.read(HEAD)
    file.seek(0)
    if at and not head.startswith(b"fLaC"):
        return container_of(head) or MP3_OF_NO_LENGTH
    return container_of(head)


def decode(
    file: IO[bytes], container: Container, path: Path, accept: Callable[[float], None], pcm: IO[bytes]
) -> tuple[int, int]:
    """Write all of a file's sound to `pcm` as 16-bit little-endian samples; return its rate and its channels.

    What an encoder put before and after the sound is left out where the file tells how much that is. `accept`
    is told the length in seconds, first as the header has it, and raises UserError where that is too long. It
    is raised, too, without PyAV, and for a file that holds no sound, is broken, ends before its header says,
    or changes its rate or its channels.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"{path}: is {container.name}, which PyAV reads; `pip install av`, or convert it to WAV"
        ) from error
    if container is WEBM and not _is_whole(file):
        raise UserError(f"{path}: is cut off; copy it again")
    rate = channels = done = 0
    promised = 0.0
    last: NDArray[np.int16] = np.zeros((0, 1), np.int16)
    try:
        with av.open(file, "r", format=container.demuxer, metadata_errors="ignore") as opened:
            if not opened.streams.audio:
                raise UserError(f"{path}: holds no sound, or is cut off; copy it again")
            stream = opened.streams.audio[0]
            if container.spare_s is not None:
                promised = _promised(opened, stream)
            accept(promised)
            for frame in opened.decode(stream):
                now = frame.sample_rate, frame.layout.nb_channels
                if done and now != (rate, channels):
                    at = done / rate
                    raise UserError(f"{path}: changes its rate or channels at {at:.1f} s; export it as WAV")
                rate, channels = now
                pcm.write(last.tobytes())
                last = _samples(frame.to_ndarray(), frame.format.is_planar, channels)
                done += len(last)
                accept(done / rate)
    except (av.FFmpegError, OSError) as error:
        if not isinstance(error, av.FFmpegError) and error.errno != EINVAL:
            raise  # a disk that fails; but FFmpeg may be led to seek before the beginning
        where = f"after {done / rate:.1f} s" if done else "as audio"
        why = error.strerror or type(error).__name__
        raise UserError(f"{path}: cannot be read {where} ({why}); copy or export it again") from error
    if not done and not promised:
        raise UserError(f"{path}: holds no sound, or is cut off; copy it again")
    if done <= (promised - (container.spare_s or 0)) * rate:
        ends = f"ends at {done / max(1, rate):.2f} s, its header promises {promised:.2f} s"
        raise UserError(f"{path}: {ends}; copy it again")
    beyond = done - round(promised * rate)
    pcm.write((last[:-beyond] if promised and 0 < beyond < len(last) else last).tobytes())
    return rate, channels


def flac_frames(path: Path) -> int:
    """Return how many samples of a channel a FLAC holds, whatever its header says; 0 without PyAV."""
    try:
        import av
    except ImportError:
        return 0
    try:
        with av.open(path, "r", format="flac", metadata_errors="ignore") as opened:
            return sum(packet.duration or 0 for packet in opened.demux())
    except av.FFmpegError:
        return 0


def _promised(opened: Any, stream: Any) -> float:
    """Return the seconds that a header promises, 0 where it does not."""
    if stream.duration:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (opened.duration or 0) / 1e6)


def _is_whole(file: IO[bytes]) -> bool:
    """Say whether the last element of a WebM (RFC 8794) is whole: browsers write no length of all."""
    size, at = file.seek(0, os.SEEK_END), 0
    for _ in range(_ELEMENTS):
        if at >= size:
            break
        file.seek(at)
        head = file.read(12)
        n_name, n_length = 9 - head[0].bit_length(), 0
        if n_name > 4:
            break  # no element, so what there was of them is whole
        if len(head) > n_name:
            n_length = 9 - head[n_name].bit_length()
        length = int.from_bytes(head[n_name : n_name + n_length], "big") & ((1 << 7 * n_length) - 1)
        at += n_name + n_length
        if not 0 < n_length < 9 or len(head) < n_name + n_length:
            return False
        unknown = length == (1 << 7 * n_length) - 1
        if not unknown and at + length > size:
            return False
        if not (unknown and head[:n_name] in _WEBM_PARTS):
            at += length
    file.seek(0)
    return True


def _samples(values: NDArray[Any], planar: bool, channels: int) -> NDArray[np.int16]:
    """Return 16-bit samples [n, channels] of any other kind, [channels, n] or [1, n * channels]."""
    frames = values.T if planar else values.reshape(-1, channels)
    if frames.dtype.kind == "f":
        frames = np.clip(np.rint(np.nan_to_num(frames) * 32768), -32768, 32767)
    elif frames.dtype == np.uint8:
        frames = (frames.astype(np.int16) - 128) << 8
    else:
        frames = frames >> (8 * frames.dtype.itemsize - 16)
    samples: NDArray[np.int16] = frames.astype("<i2")
    return samples
