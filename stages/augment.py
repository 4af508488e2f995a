"""Make a label's clips: data/clips/<LABEL>/clips.npy, int16 [clips, samples], and manifest.csv."""

from functools import partial
from pathlib import Path

import numpy as np

from kws.augment.recipe import Recipe
from kws.augment.render import render_block
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.clips import write_clips
from kws.config import load_params
from kws.files import replacing
from kws.parallel import map_blocks
from stages import paths, run


def main(label: str) -> None:
    """Augment the recordings of one label, or for the background label cut background and speech."""
    params = load_params(paths.PARAMS)
    front_end, seeds = params.features, Path(params.data.seeds)
    rate, is_keyword = front_end.sample_rate, label != params.background
    needs_speech = not is_keyword and params.augment.speech_share > 0
    sources = Sources(
        words=read_words(seeds / label, rate, front_end.clip_s) if is_keyword else empty_bank(),
        background=read_bank(seeds / params.background, rate),
        speech=read_bank(Path(params.data.negatives), rate) if needs_speech else empty_bank(),
        rirs=np.load(paths.RIRS, allow_pickle=False),
    )
    recipe = Recipe(label, is_keyword, params.seed, params.augment, rate, front_end.clip_samples, sources)
    with replacing(paths.clips(label)) as folder:
        blocks = map_blocks(partial(render_block, recipe), recipe.n_clips)
        write_clips(folder, (recipe.n_clips, front_end.clip_samples), blocks)


if __name__ == "__main__":
    run(main)
