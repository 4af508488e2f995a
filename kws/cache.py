"""The feature cache: one array a shard of clips."""

from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from kws.audio import to_float
from kws.features import FrontEnd, features
from kws.files import replacing, write_array


def cache_features(clips: Path, out: Path, front_end: FrontEnd) -> None:
    """Write the features of `clips`, int16 [n, samples], as [n, frames, n_mels], one clip at a time."""
    audio = np.load(clips, mmap_mode="r", allow_pickle=False)
    shape = (len(audio), front_end.n_frames, front_end.n_mels)
    with replacing(out) as partial, threadpool_limits(1):
        write_array(partial, shape, front_end.dtype, (features(to_float(clip), front_end) for clip in audio))
