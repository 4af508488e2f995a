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
from kws.runtime.channels import Mixer
from kws.runtime.source import resample

QUEUE_S = 10.0
"""How far the program may fall behind before audio is lost."""
SILENT_S = 5.0
"""Without a block for so long, the microphone is taken to be gone; with nothing but zeros, to be muted."""
MOST_CHANNELS = 8
"""A device with more is no microphone but a sound server, which mixes to mono by itself."""
MUTED = "the microphone gives only zeros; is it muted?"


@dataclass
class Faults:
    """What went wrong with the audio so far."""

    overruns: int = 0
    """gaps: the system or this program was too slow and samples were lost"""
    invalid: int = 0
    """samples that were NaN or infinite, and taken as 0"""
    muted: bool = False
    """whether there have been only zeros for SILENT_S"""


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
        f"{'*' if device['index'] == default else ' '} {device['index']:3}  {plain(_name(library, device))}"
        f"  ({device['max_input_channels']} channels, {device['default_samplerate']:.0f} Hz)"
        for device in library.query_devices()
        if device["max_input_channels"] > 0
    ]


def _name(library: Any, device: Any) -> str:
    """Return a device's name, with what it is reached by where another microphone is called so too.

    `--device` takes it as it stands here.
    """
    name: str = device["name"]
    alike = [one for one in library.query_devices() if one["name"] == name and one["max_input_channels"] > 0]
    return f"{name}, {library.query_hostapis(device['hostapi'])['name']}" if len(alike) > 1 else name


class Microphone:
    """An open microphone; use it in a `with` statement."""

    def __init__(
        self, device: str | None, rate: int | None, block_s: float, channel: int | None = None
    ) -> None:
        """Choose a device by number or by part of its name, or the default one.

        It is opened at `rate` Hz where it can be, else as it likes best and converted; without one it keeps
        its own. Of several channels the one that is asked for is heard, counted from 1, or else all that are
        not silent. Raises UserError for a device that is absent, cannot record, or has no such channel.
        """
        self._library = sounddevice()
        choice = int(device) if device is not None and device.isdigit() else device
        try:
            info = self._library.query_devices(choice, "input")
        except (ValueError, self._library.PortAudioError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"microphone {device or ''}: {reason}; see `kws listen --list`") from error
        self._info = info
        self.name: str = _name(self._library, info)
        if channel is not None and not 1 <= channel <= info["max_input_channels"]:
            raise UserError(
                f"--channel {channel}: {self.name} has {info['max_input_channels']}, counted from 1"
            )
        self._mixer = Mixer(channel)
        self.faults = Faults()
        own = round(info["default_samplerate"])
        self._source_rate, self._channels = self._settings(
            choice, info, (rate, own) if rate else (own,), channel
        )
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

    def _settings(
        self, device: str | int | None, info: Any, rates: tuple[int, ...], channel: int | None
    ) -> tuple[int, int]:
        """Return the first of the rates, and number of channels, that the device takes, best ones first."""
        error, every = None, info["max_input_channels"]
        if channel is not None:
            # a sound server gives the mixture of all to who asks for one
            counts = min(max(channel, 2), every), every
        else:
            counts = (every, 1) if every <= MOST_CHANNELS else (1, every)
        for rate, count in product(rates, counts):
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
            self._queue.put_nowait(self._mixer.push(block))
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
        zeros = 0
        while True:
            try:
                block = self._queue.get(timeout=SILENT_S)
            except queue.Empty:
                block = None
            if block is None:
                raise UserError(f"microphone {self.name}: stopped; is it still plugged in?")
            valid = np.isfinite(block)
            self.faults.invalid += int(np.count_nonzero(~valid))
            zeros = 0 if block.any() else zeros + len(block)
            self.faults.muted = zeros >= SILENT_S * self._source_rate
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
