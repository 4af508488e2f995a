"""Make hard negatives of all keywords: data/clips/_hard and data/features/_hard.npy, background by label."""

import warnings
from pathlib import Path

import numpy as np

from kws.augment.clips import make_clips
from kws.augment.recipe import Kind, Recipe
from kws.augment.sources import Sources, empty_bank, read_bank, read_words, warn_of_unused
from kws.common.errors import UserError
from kws.features.cache import cache_features
from kws.params.whole import load_params
from stages import paths, run


def main() -> None:
    """Cut, swap, reverse and join the recordings of the keywords; a whole keyword is never among them."""
    params = load_params(paths.PARAMS)
    cfg, data, rate, clip_s = params.augment, params.data, params.features.sample_rate, params.features.clip_s
    with warnings.catch_warnings(action="ignore"):  # `augment` has said what it says of each recording
        words = {
            label: read_words(label, Path(data.seeds), Path(data.voices), rate, clip_s)
            for label in params.keywords
        }
    warn_of_unused(Path(data.seeds), Path(data.voices), params.keywords)
    sources = Sources(
        words=words,
        background=read_bank(Path(data.seeds) / params.background, rate),
        speech=empty_bank(),
        rirs=np.load(paths.RIRS, allow_pickle=False),
    )
    kinds: dict[Kind, float] = {k: 1 for k in cfg.hard_kinds if k != "joined" or len(words) > 1}
    n_clips, n = cfg.n_hard(clip_s), params.features.clip_samples
    if n_clips and not kinds:
        raise UserError("augment.hard_kinds: holds only `joined`, which needs two keywords; add another kind")
    recipe = Recipe(paths.HARD, params.background, n_clips, kinds, params.seed, cfg, rate, n, sources)
    make_clips(paths.clips(paths.HARD), recipe)
    cache_features(paths.clips(paths.HARD) / "clips.npy", paths.features(paths.HARD), params.features)


if __name__ == "__main__":
    run(main)
