"""The feature cache: one array a shard of clips."""

from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from kws.common.arrays import map_array, write_array
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.features.logmel import FrontEnd, features
from kws.recordings.audio import to_float


def cache_features(clips: Path, out: Path, front_end: FrontEnd) -> None:
    """Write the features of `clips`, int16 [n, samples], as [n, frames, n_mels], one clip at a time.

    Raises UserError where the clips are of another length.
    """
    audio = map_array(clips, np.int16, 2)
    if audio.shape[1] != front_end.clip_samples:
        wanted = f"expected {front_end.clip_samples}; make them again with `dvc repro`"
        raise UserError(f"{clips}: clips of {audio.shape[1]} samples, {wanted}")
    shape = (len(audio), front_end.n_frames, front_end.n_mels)
    with replacing(out) as partial, threadpool_limits(1):
        write_array(partial, shape, front_end.dtype, (features(to_float(clip), front_end) for clip in audio))
