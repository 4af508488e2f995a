"""A microphone, by sounddevice: every lost block is counted, and a silent end is an error."""

import contextlib
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from types import TracebackType
from typing import Any

import numpy as np

from kws.common.errors import UserError
from kws.common.terminal import plain
from kws.common.types import Audio
from kws.runtime.source import resample

QUEUE_S = 10.0
"""How far the program may fall behind before audio is lost."""
SILENT_S = 5.0
"""Without a block for so long, the microphone is taken to be gone."""


@dataclass
class Faults:
    """What went wrong with the audio so far."""

    overruns: int = 0
    """gaps: the system or this program was too slow and samples were lost"""
    invalid: int = 0
    """samples that were NaN or infinite, and taken as 0"""


def sounddevice() -> Any:
    """Return the library, or raise UserError where it or PortAudio is missing."""
    try:
        import sounddevice as library
    except ImportError as error:
        raise UserError("microphone: needs sounddevice; install it with `pip install sounddevice`") from error
    except OSError as error:
        raise UserError(
            f"microphone: {error}; install it (Debian and Ubuntu: `apt install libportaudio2`)"
        ) from error
    return library


def list_devices() -> list[str]:
    """Return one line a microphone: its number, name, channels and rate; * marks the default."""
    library = sounddevice()
    default = library.default.device[0]
    return [
        f"{'*' if device['index'] == default else ' '} {device['index']:3}  {plain(device['name'])}"
        f"  ({device['max_input_channels']} channels, {device['default_samplerate']:.0f} Hz)"
        for device in library.query_devices()
        if device["max_input_channels"] > 0
    ]


class Microphone:
    """An open microphone; use it in a `with` statement."""

    def __init__(self, device: str | None, rate: int | None, block_s: float) -> None:
        """Choose a device by number or by part of its name, or the default one.

        It is opened at `rate` Hz and mono where it can be, else as it likes best and converted. Without a
        rate it keeps its own. Raises UserError for a device that is absent or cannot record.
        """
        self._library = sounddevice()
        choice = int(device) if device is not None and device.isdigit() else device
        try:
            info = self._library.query_devices(choice, "input")
        except (ValueError, self._library.PortAudioError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"microphone {device or ''}: {reason}; see `kws listen --list`") from error
        self._info = info
        self.name: str = info["name"]
        self.faults = Faults()
        own = round(info["default_samplerate"])
        self._source_rate, self._channels = self._settings(choice, info, (rate, own) if rate else (own,))
        self.rate = rate or self._source_rate
        """of the blocks, Hz"""
        self._queue: queue.Queue[Audio | None] = queue.Queue(maxsize=round(QUEUE_S / block_s))
        self._stream = self._library.InputStream(
            device=choice,
            samplerate=self._source_rate,
            blocksize=round(block_s * self._source_rate),
            channels=self._channels,
            dtype="float32",
            callback=self._arrived,
            finished_callback=self._finished,
        )

    def _settings(self, device: str | int | None, info: Any, rates: tuple[int, ...]) -> tuple[int, int]:
        """Return the first of the rates, and number of channels, that the device takes, best ones first."""
        error = None
        for rate, count in product(rates, (1, info["max_input_channels"])):
            try:
                self._library.check_input_settings(device, count, "float32", samplerate=rate)
                return rate, count
            except self._library.PortAudioError as refusal:
                error = refusal
        raise UserError(f"microphone {info['name']}: cannot record ({error}); see `kws listen --list`")

    def _arrived(self, block: Any, frames: int, when: Any, status: Any) -> None:
        """Take a block in PortAudio's thread, where nothing may wait."""
        self.faults.overruns += bool(status.input_overflow)
        try:
            self._queue.put_nowait(block.mean(axis=1, dtype=np.float32))
        except queue.Full:
            self.faults.overruns += 1

    def _finished(self) -> None:
        with contextlib.suppress(queue.Full):  # then the reader finds out when the queue has run dry
            self._queue.put_nowait(None)

    @property
    def host(self) -> str:
        """What the device is reached by: ALSA, Core Audio, Windows WASAPI."""
        name: str = self._library.query_hostapis(self._info["hostapi"])["name"]
        return name

    def blocks(self) -> Iterator[Audio]:
        """Yield mono blocks at `rate` Hz. Raises UserError when the microphone stops."""
        yield from resample(self._blocks(), self._source_rate, self.rate)

    def skip(self) -> None:
        """Pass over what was recorded and not yet asked for."""
        with contextlib.suppress(queue.Empty):
            while self._queue.get_nowait() is not None:
                pass
            self._queue.put_nowait(None)  # an end stays one

    def _blocks(self) -> Iterator[Audio]:
        while True:
            try:
                block = self._queue.get(timeout=SILENT_S)
            except queue.Empty:
                block = None
            if block is None:
                raise UserError(f"microphone {self.name}: stopped; is it still plugged in?")
            valid = np.isfinite(block)
            self.faults.invalid += int(np.count_nonzero(~valid))
            yield np.where(valid, block, np.float32(0))

    def __enter__(self) -> "Microphone":
        try:
            self._stream.start()
        except self._library.PortAudioError as error:
            raise UserError(f"microphone {self.name}: {error}; is another program using it?") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close(ignore_errors=True)
