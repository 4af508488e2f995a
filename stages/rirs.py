"""Simulate rooms: data/rirs/rirs.npy, float32 [rooms, taps]."""

import numpy as np

from kws.config import load_params
from kws.files import replacing
from kws.rirs import simulate
from stages import paths, run


def main() -> None:
    """Write the impulse responses that `augment` draws from."""
    params = load_params(paths.PARAMS)
    rooms, rate = params.augment.rooms, params.features.sample_rate
    rirs = np.stack([simulate(rooms, index, params.seed, rate) for index in range(rooms.count)])
    with replacing(paths.RIRS) as partial, partial.open("wb") as file:
        np.save(file, rirs)


if __name__ == "__main__":
    run(main)
