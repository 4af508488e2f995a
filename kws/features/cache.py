"""The feature cache: one array a shard of clips."""

from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from kws.common.arrays import map_array, write_array
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.parallel import map_blocks
from kws.common.types import Features, Pcm
from kws.features.logmel import FrontEnd, features
from kws.recordings.audio import to_float


def cache_features(clips: Path, out: Path, front_end: FrontEnd) -> None:
    """Write the features of `clips`, int16 [n, samples], as [n, frames, n_mels], over all workers.

    Raises UserError where the clips are of another length.
    """
    n, samples = map_array(clips, np.int16, 2).shape
    if samples != front_end.clip_samples:
        wanted = f"expected {front_end.clip_samples}; make them again with `dvc repro`"
        raise UserError(f"{clips}: clips of {samples} samples, {wanted}")
    shape = (n, front_end.n_frames, front_end.n_mels)
    with replacing(out) as part:
        blocks = map_blocks(partial(_block, front_end), n, read=partial(_rows, clips))
        write_array(part, shape, front_end.dtype, blocks)


def _rows(clips: Path, indices: range) -> Pcm:
    return np.array(map_array(clips, np.int16, 2)[indices.start : indices.stop])


def _block(front_end: FrontEnd, audio: Pcm) -> Features:
    with threadpool_limits(1):
        heard = [features(to_float(clip), front_end) for clip in audio]
    return np.stack(heard).astype(front_end.dtype)
