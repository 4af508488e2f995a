"""Compute a label's features: data/features/<LABEL>.npy, [clips, frames, n_mels]."""

from kws.features.cache import cache_features
from kws.params.whole import load_params
from stages import paths, run


def main(label: str) -> None:
    """Turn clips into log-mel features."""
    front_end = load_params(paths.PARAMS).features
    cache_features(paths.clips(label) / "clips.npy", paths.features(label), front_end)


if __name__ == "__main__":
    run(main)
