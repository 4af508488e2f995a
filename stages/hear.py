"""Hear a label's clips once, for all trainings to come: data/heard/<LABEL>.npy, [clips, embedding]."""

from kws.hearing.hear import hear_shard
from kws.params.whole import load_params
from stages import paths, run


def main(label: str = paths.HARD) -> None:
    """Let the encoder hear a label's features, or those of the hard negatives; nothing without an encoder."""
    front_end = load_params(paths.PARAMS).features
    hear_shard(paths.EAR, paths.features(label), paths.heard(label), front_end)


if __name__ == "__main__":
    run(main)
