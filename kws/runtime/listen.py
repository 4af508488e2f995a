"""The loop of `kws listen`: blocks in, what was heard out to everyone who follows."""

import sys
from collections.abc import Iterable
from contextlib import ExitStack

from kws.common.types import Audio
from kws.runtime.gate import AutomaticGain
from kws.runtime.microphone import MUTED, Faults
from kws.runtime.sinks import Listener
from kws.runtime.spotter import Spotter


def listen(
    blocks: Iterable[Audio],
    spotter: Spotter,
    listeners: list[Listener],
    gain: AutomaticGain | None = None,
) -> int:
    """Hear blocks of mono float32 until there are no more; return how many samples there were.

    Every listener is closed in the end, whatever ends the stream.
    """
    samples = 0
    with ExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        for block in blocks:
            audio = gain.push(block) if gain else block
            samples += len(audio)
            heard = spotter.push(audio)
            for listener in listeners:
                listener.push(audio, heard)
    return samples


class Warnings:
    """Says on stderr when audio was lost, as soon as the block after the gap is heard, or there is none."""

    def __init__(self, faults: Faults) -> None:
        """Watch the faults of a source."""
        self._faults, self._told = faults, Faults()

    def push(self, audio: Audio, heard: object) -> None:
        """Say what is new."""
        for name, what in (
            ("overruns", "overruns: audio was lost"),
            ("invalid", "invalid samples, taken as 0"),
        ):
            count = getattr(self._faults, name)
            if count > getattr(self._told, name):
                print(f"warning: {count} {what}", file=sys.stderr)
                setattr(self._told, name, count)
        if self._faults.muted and not self._told.muted:
            print(f"warning: {MUTED}", file=sys.stderr)
        self._told.muted = self._faults.muted

    def close(self) -> None:
        """Nothing is left to say."""
