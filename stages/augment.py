"""Make a label's clips: data/clips/<LABEL>/clips.npy, int16 [clips, samples], and manifest.csv."""

from pathlib import Path

import numpy as np

from kws.augment.account import of_sounds, of_words
from kws.augment.clips import make_clips
from kws.augment.recipe import Kind, Recipe
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.params.whole import load_params
from stages import paths, run


def main(label: str) -> None:
    """Augment the recordings of one keyword, or cut background and speech for the background label."""
    params = load_params(paths.PARAMS)
    cfg, data, rate, clip_s = params.augment, params.data, params.features.sample_rate, params.features.clip_s
    kinds: dict[Kind, float] = {"keyword": 1}
    n_clips, words, speech = cfg.per_class, {}, empty_bank()
    if label != params.background:
        words[label] = read_words(label, Path(data.seeds), Path(data.voices), rate, clip_s)
        print(of_words(label, words[label], rate))
    else:
        kinds = {"speech": cfg.speech_share, "background": 1 - cfg.speech_share - cfg.hard_share}
        n_clips = cfg.n_background(clip_s) - cfg.n_hard(clip_s)
        speech = read_bank(Path(data.negatives), rate) if cfg.speech_share else speech
    background = read_bank(Path(data.seeds) / params.background, rate)
    if label == params.background:
        print(of_sounds(label, background, speech, rate))
    sources = Sources(words, background, speech, np.load(paths.RIRS, allow_pickle=False))
    n = params.features.clip_samples
    make_clips(paths.clips(label), Recipe(label, label, n_clips, kinds, params.seed, cfg, rate, n, sources))


if __name__ == "__main__":
    run(main)
