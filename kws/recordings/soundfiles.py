"""Sound files, opened and read so that whatever is wrong with one is told in one line."""

import io
import mmap
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.types import Audio, Pcm
from kws.recordings.phones import decode, flac_frames, look

FORMATS = "WAV, FLAC, OGG, MP3, M4A or another sound file"
"""What can be read, in words."""
UNKNOWN_BYTES = range(0x7FFF0000, 2**32)
"""Lengths that programs write into a WAV header that they cannot go back to."""
UNKNOWN_FRAMES = 2**62
"""What libsndfile says of a FLAC that was written to a pipe."""
RATES = 2_000, 768_000
"""Hz; no recorder is slower and no converter faster."""
SCALES = 1.0, 2.0**15, 2.0**23, 2.0**31
"""Full scales of floats: their own, and those of the integers that some programs leave as they are."""
OVER = 16.0
"""Times a full scale, 24 dB, that samples may reach before they are taken to be on the next one."""
LOST_DB = 5.0
"""What an average of channels may lose of the one that speaks: two microphones lose 3 dB of their own noise,
a channel that speaks beside a silent one loses 6."""
SPEECH_HZ = 200.0, 4000.0
AHEAD = 2**22
"""Samples of all channels by which one of them is chosen: 40 s of stereo."""
IN_MEMORY = 2**24
"""Bytes of decoded sound that are kept in memory; more go to the disk."""
_OGG_FIRST = b"OggS\0\2"
"""How the first page of a stream begins."""
_OGG_PAGE = 27 + 255 + 255 * 255
"""Bytes of the longest page."""
_SHORTER = re.compile(
    r"^ *(?:data|SSND|BODY|Data Size|Riff size|riff) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
"""What libsndfile logs of samples that a file has too few of: bytes that it promises, and that there are."""
_COUNTED = "WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "SVX", "FLAC", "OGG"
"""Formats whose headers count their samples."""
BEHIND = 0.01
"""Share of the samples above which bytes behind those that a WAV counts are more of them: programs leave
tags and padding there."""
_CHUNKS = 100
"""More than any program writes behind the samples of a WAV."""


Channels = NDArray[np.float32]
"""[frames, channels]"""


@dataclass(frozen=True)
class Limit:
    """How long a recording may be, and what to do with a longer one."""

    seconds: float
    advice: str

    def check(self, path: Path, seconds: float) -> None:
        """Raise UserError where `path`, of so many seconds, is too long."""
        if seconds > self.seconds:
            raise UserError(f"{path}: is {seconds:.2f} s long; {self.advice}")


DAY = Limit(24 * 3600, "cut it into files of a day at most")
"""At 16 kHz the samples of a day take 5.5 GB."""


@contextmanager
def open_sound(path: Path, limit: Limit | None = None) -> Iterator[soundfile.SoundFile]:
    """Open a sound file by its content, whatever its name ends in.

    What libsndfile cannot read is decoded whole (see `kws.recordings.phones`), a day at most, and is 16-bit
    PCM then. Raises UserError for a file that cannot be read, is beyond the limit by its header, or has a
    header that says what cannot be.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the files in it, as {path / '*.wav'}")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is a pipe or a device, which cannot be read as a file; name a file")
    with ExitStack() as stack:
        file = _open(path, limit, stack)
        if not RATES[0] <= file.samplerate <= RATES[1]:
            low, high = RATES
            raise UserError(
                f"{path}: claims a rate of {file.samplerate} Hz, expected {low} to {high}; export it again"
            )
        if file.frames >= UNKNOWN_FRAMES:
            raise UserError(
                f"{path}: does not say how long it is, as if written to a pipe; convert it to WAV"
            )
        if limit:
            limit.check(path, file.frames / file.samplerate)
        yield file


def mono_blocks(
    file: soundfile.SoundFile, path: Path, frames: int, channel: int | None = None
) -> Iterator[Audio]:
    """Yield all of an open file as float32 [samples], `frames` or fewer at a time.

    Channels are averaged, unless one of them speaks and the average would lose it: then it is taken alone.
    A `channel` that is asked for, counted from 1, is taken whatever it holds; UserError where there is none.
    Floats beyond -1..1 are scaled down, with a warning. All that can be read is yielded before UserError is
    raised for a file that is empty, broken, shorter or longer than its header promises or cut off, or holds
    NaN or infinity.
    """
    scale = _scale(file, path) if file.subtype in ("FLOAT", "DOUBLE") else 1.0
    blocks, few = _blocks(file, path, frames, scale), max(1, AHEAD // file.channels)
    if channel is not None:
        if not 1 <= channel <= file.channels:
            raise UserError(f"--channel {channel}: {path} has {file.channels}, counted from 1")
        for block in blocks:
            yield np.ascontiguousarray(block[:, channel - 1])
        return
    first, failure = _ahead(blocks, few) if file.channels > 1 else ([], None)
    speaking = _speaking(np.concatenate(first)[:few], file.samplerate) if first else None
    for block in chain(first, blocks):
        yield _mono(block, speaking)
    if failure:
        raise failure


def read_frames(file: soundfile.SoundFile, path: Path, start: int, frames: int) -> Audio:
    """Return float32 [samples] of an open file from frame `start` on, as many of `frames` as there are."""
    with _told(file, path, start):
        file.seek(min(start, file.frames))
    samples = _read(file, path, frames, start)
    return _mono(samples, _speaking(samples, file.samplerate))


def encoded(audio: Audio | Pcm, rate: int, form: str) -> bytes:
    """Return samples as a file of 16-bit PCM, `WAV` or another format of libsndfile."""
    content = io.BytesIO()
    soundfile.write(content, audio, rate, subtype="PCM_16", format=form)
    return content.getvalue()


def _open(path: Path, limit: Limit | None, stack: ExitStack) -> soundfile.SoundFile:
    """Open a file without telling libsndfile its name, by whose suffix it would go."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        raw = stack.enter_context(io.FileIO(number))
        container = look(raw)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if container:
        pcm = stack.enter_context(SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - the stack closes it
        rate, channels = decode(raw, container, path, lambda s: (limit or DAY).check(path, s), pcm)
        pcm.seek(0)
        return stack.enter_context(
            soundfile.SoundFile(pcm, "r", rate, channels, format="RAW", subtype="PCM_16", endian="LITTLE")
        )
    try:
        file = stack.enter_context(
            soundfile.SoundFile(raw if os.name == "nt" else raw.fileno(), closefd=False)
        )
        if not file.frames and file.format in ("WAV", "WAVEX") and (whole := _with_length(raw)):
            file = stack.enter_context(soundfile.SoundFile(stack.enter_context(whole)))
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error.error_string) from error
    return file


def _with_length(raw: io.FileIO) -> mmap.mmap | None:
    """Return a WAV whose samples have the length 0 with their true one, or None where there are none.

    Recorders leave such a file if they could not close it.
    """
    content = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_COPY)  # the file stays as it is
    at = content.find(b"data\0\0\0\0", 12) + 8
    length = (len(content) - at) // 2 * 2
    if content[:4] != b"RIFF" or at < 20 or not 0 < length < 2**32 or _are_chunks(content, at):
        content.close()
        return None
    content[at - 4 : at] = length.to_bytes(4, "little")
    return content


def _are_chunks(content: mmap.mmap, at: int) -> bool:
    """Say whether all that follows has names and lengths, as what a WAV holds beside its samples."""
    for _ in range(_CHUNKS):
        if not re.fullmatch(rb"[ -~]{4}", content[at : at + 4]):
            break
        at = _next_chunk(content, at)
    return at >= len(content)


def _next_chunk(content: mmap.mmap, at: int) -> int:
    length = int.from_bytes(content[at + 4 : at + 8], "little")
    return at + 8 + length + length % 2


def _scale(file: soundfile.SoundFile, path: Path) -> float:
    """Return what to divide the floats of a file by; it is read once for that, which takes little."""
    peak = 0.0
    while len(samples := _read(file, path, max(1, 2**18 // file.channels), 0)):
        peak = max(peak, float(np.abs(samples).max(where=np.isfinite(samples), initial=0)))
    file.seek(0)
    if peak <= 1:
        return 1.0
    full = next((scale for scale in SCALES if peak <= OVER * scale), None)
    if full is None:
        raise UserError(f"{path}: its samples reach {peak:.4g}, expected -1..1; export it as 16-bit PCM")
    scale = max(full, peak)
    message = f"{path}: its samples reach {peak:.4g}, expected -1..1; divided by {scale:.4g}"
    warnings.warn(f"{message}; better export it as 16-bit PCM", stacklevel=2)
    return scale


def _blocks(file: soundfile.SoundFile, path: Path, frames: int, scale: float) -> Iterator[Channels]:
    """Yield [frames, channels]; errors as of `mono_blocks`."""
    done = 0
    while len(samples := _read(file, path, frames, done)):
        if not np.isfinite(samples).all():
            at = done / file.samplerate
            raise UserError(
                f"{path}: holds NaN or infinite samples after {at:.1f} s; export it as 16-bit PCM"
            )
        done += len(samples)
        yield samples if scale == 1 else samples / np.float32(scale)
    if missing := _missing(file, path, done):
        raise UserError(f"{path}: ends at {done / file.samplerate:.2f} s, {missing}; copy it again")
    if _goes_on(file, path, done):
        at = f"{done / file.samplerate:.2f} s"
        raise UserError(f"{path}: goes on after the {at} that its header promises; copy or export it again")
    if not done:
        raise UserError(f"{path}: is empty; record it again")


def _ahead(blocks: Iterator[Channels], frames: int) -> tuple[list[Channels], UserError | None]:
    """Take blocks until there are so many frames or no more; return them and what went wrong then."""
    taken: list[Channels] = []
    try:
        while sum(map(len, taken)) < frames and (block := next(blocks, None)) is not None:
            taken.append(block)
    except UserError as error:
        return taken, error
    return taken, None


def _speaking(samples: Channels, rate: int) -> int | None:
    """Return the channel of [frames, channels] that the average of all would lose, or None.

    What is compared is what stands out in the band of speech: loud moments over quiet ones.
    """
    frame = 1 << round(rate / 32).bit_length()
    n, channels = len(samples) // frame, samples.shape[1]
    if channels == 1 or not n:
        return None
    window = np.hanning(frame).astype(np.float32)[:, None]  # keeps hum out of the band
    spectra = np.fft.rfft(samples[: n * frame].reshape(n, frame, channels) * window, axis=1)
    low, high = (round(hertz * frame / rate) for hertz in SPEECH_HZ)
    spectra = np.concatenate([spectra, spectra.mean(axis=2, keepdims=True)], axis=2)[:, low : high + 1]
    power = np.square(np.abs(spectra)).sum(axis=1)
    loud, quiet = np.quantile(power, (0.95, 0.1), axis=0)
    *each, average = loud - quiet
    if max(each) <= average * 10 ** (LOST_DB / 10):
        return None
    return next(i for i, power in enumerate(each) if power > 0.8 * max(each))  # the first of equals: 1 dB


def _mono(samples: Channels, channel: int | None) -> Audio:
    """Return [frames, channels] as [samples]: one channel, or the average of all."""
    if channel is None:
        mean: Audio = samples.mean(axis=1, dtype=np.float32)
        return mean
    return np.ascontiguousarray(samples[:, channel])


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
    for had, has in _SHORTER.findall(file.extra_info):
        if int(had) not in UNKNOWN_BYTES:
            promised = max(promised, round(frames * int(had) / max(1, int(has))))
    if file.format in _COUNTED and frames < promised:
        return f"its header promises {promised / file.samplerate:.2f} s"
    return _ogg_missing(path) if file.format == "OGG" else None


def _goes_on(file: soundfile.SoundFile, path: Path, frames: int) -> bool:
    """Say whether there is sound behind the `frames` that the header of a WAV or FLAC counts."""
    if file.format == "FLAC":
        return flac_frames(path) > frames
    if file.format not in ("WAV", "WAVEX"):
        return False
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = 12
        while content[at : at + 4] not in (b"data", b""):
            at = _next_chunk(content, at)
        promised = int.from_bytes(content[at + 4 : at + 8], "little")
        behind = _next_chunk(content, at)
        if not promised or promised in UNKNOWN_BYTES or _are_chunks(content, behind):
            return False
        return len(content) - behind > BEHIND * promised and any(content[behind:])


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
