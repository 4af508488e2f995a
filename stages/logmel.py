"""Compute a label's features: data/features/<LABEL>.npy, [clips, frames, n_mels]."""

import numpy as np
from threadpoolctl import threadpool_limits

from kws.audio import to_float
from kws.config import load_params
from kws.features import features
from kws.files import replacing, write_array
from stages import paths, run


def main(label: str) -> None:
    """Turn clips into log-mel features, one memory-mapped clip at a time."""
    front_end = load_params(paths.PARAMS).features
    clips = np.load(paths.clips(label) / "clips.npy", mmap_mode="r", allow_pickle=False)
    shape = (len(clips), front_end.n_frames, front_end.n_mels)
    with replacing(paths.features(label)) as partial, threadpool_limits(1):
        write_array(partial, shape, front_end.dtype, (features(to_float(clip), front_end) for clip in clips))


if __name__ == "__main__":
    run(main)
