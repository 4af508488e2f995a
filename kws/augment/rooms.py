"""Simulated room impulse responses: shoebox rooms by the image source method (pyroomacoustics)."""

import numpy as np
import pyroomacoustics as pra
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.seeding import rng
from kws.common.types import Audio
from kws.params.sections import Rooms

DRAWING = {"augment": "rirs", "stream": "streams"}
"""Random numbers by section, so that no room of training is heard in an evaluation."""
THREADS = 2
"""Of pyroomacoustics, which else takes one a core: each adds up its share of a room's reflections, so another
number of them gives other last bits."""
WALL_M = 0.5
"""Least distance of talker and microphone from the walls, and from each other."""


def simulate(rooms: Rooms, index: int, seed: int, rate: int, section: str = "augment") -> Audio:
    """Return RIR number `index`, float32 [taps], from the direct path on.

    Room size, RT60 and both positions are drawn from `rooms`; a room too large to be that damped (Sabine)
    is drawn again. Each `section` of params.yaml has rooms of its own. Raises UserError where no room of
    the given sizes can be that damped.
    """
    draw = rng(seed, DRAWING[section], index)
    for _ in range(1000):
        size = draw.uniform(*np.transpose(rooms.size_m))
        rt60 = draw.uniform(rooms.rt60_s[0], rooms.rt60_s[1])
        talker, microphone = draw.uniform(WALL_M, size - WALL_M, (2, 3))
        try:
            absorption, order = pra.inverse_sabine(rt60, size)
        except ValueError:
            continue
        if np.linalg.norm(talker - microphone) >= WALL_M:
            break
    else:
        raise UserError(
            f"{section}.rooms: no room of size_m can have rt60_s; allow smaller rooms or longer times"
        )
    pra.constants.set("num_threads", THREADS)
    room = pra.ShoeBox(size, fs=rate, materials=pra.Material(absorption), max_order=order)
    room.add_source(talker)
    room.add_microphone(microphone)
    room.compute_rir()
    return align(np.asarray(room.rir[0][0]), taps(rooms, rate))


def taps(rooms: Rooms, rate: int) -> int:
    """Return the length of every RIR in samples: enough for the longest RT60."""
    return round(1.2 * rooms.rt60_s[1] * rate)


def align(rir: NDArray[np.floating], taps: int) -> Audio:
    """Return float32 [taps] of unit energy that starts 1 ms at the most before the direct path, its peak."""
    aligned = np.zeros(taps, np.float32)
    direct = int(np.abs(rir).argmax())
    part = rir[max(0, direct - 8) :][:taps]
    aligned[: len(part)] = part / np.linalg.norm(part)
    return aligned
