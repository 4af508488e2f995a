"""Hear a label's clips once, for all trainings to come: data/heard/<LABEL>.npy, [clips, embedding]."""

import numpy as np

from kws.common.arrays import write_array
from kws.common.files import replacing
from kws.params.sections import EncoderModel
from kws.params.whole import load_params
from stages import paths, run


def main(label: str = paths.HARD) -> None:
    """Let the encoder hear a label's features, or those of the hard negatives.

    Nobody hears them for a network that starts from nothing: the array is empty, and torch is not loaded.
    """
    params = load_params(paths.PARAMS)
    with replacing(paths.heard(label)) as partial:
        if isinstance(params.model, EncoderModel):
            from kws.training.hear import hear_shard
            from kws.training.transfer import for_features, load_encoder

            encoder = for_features(load_encoder(paths.ENCODER), params.features)
            hear_shard(encoder, paths.features(label), partial, params.features)
        else:
            write_array(partial, (0, 0), np.float32, ())


if __name__ == "__main__":
    run(main)
