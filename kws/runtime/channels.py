"""Which channels of a microphone are heard."""

import numpy as np

from kws.common.types import Audio

SILENT_DB = 30.0
"""So far below the loudest one a channel has no microphone; two that hear one room are nearer than that."""


class Mixer:
    """Makes float32 [samples] of blocks [frames, channels].

    One channel is taken where it is asked for. Else all are averaged but for those that have been silent
    since the start, which would only make the others fainter.
    """

    def __init__(self, channel: int | None = None) -> None:
        """Take one channel, counted from 1, or mix all of them."""
        self._channel = channel
        self._loudest = np.zeros(1)

    def push(self, block: Audio) -> Audio:
        """Return the samples of a block."""
        if self._channel is not None:
            return np.ascontiguousarray(block[:, self._channel - 1])
        if block.shape[1] > 1:
            powers = np.nan_to_num(np.mean(np.square(block, dtype=np.float64), axis=0))
            self._loudest = np.maximum(self._loudest, powers)
            heard = self._loudest >= self._loudest.max() * 10 ** (-SILENT_DB / 10)
            block = block[:, heard]
        mixed: Audio = block.mean(axis=1, dtype=np.float32)
        return mixed
