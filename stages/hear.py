"""Hear a label's clips once, for all trainings to come: data/heard/<LABEL>.npy, [clips, embedding]."""

import numpy as np

from kws.common.arrays import write_array
from kws.common.files import replacing
from kws.params.whole import load_params
from kws.runtime.inference import open_encoder
from kws.training.hear import hear_shard
from stages import paths, run


def main(label: str = paths.HARD) -> None:
    """Let the encoder hear a label's features, or those of the hard negatives; an empty array without one."""
    front_end = load_params(paths.PARAMS).features
    with replacing(paths.heard(label)) as partial:
        if encoder := open_encoder(paths.EAR):
            hear_shard(encoder, paths.features(label), partial, front_end)
        else:
            write_array(partial, (0, 0), np.float32, ())


if __name__ == "__main__":
    run(main)
