"""Clips of the spoken words, augmented much as a user's recordings are: `python -m pretrain.clips`.

Writes to pretrain/work/clips/: features.npy [clips, frames, n_mels], taught.npy float16 [clips, EMBEDDING],
what the teachers hear of the word alone, and clips.csv (word, split); a clip of other speech has no word.
"""

import csv
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from kws.augment.recipe import Recipe
from kws.augment.render import render_block
from kws.augment.sources import Sources, empty_bank, read_bank
from kws.common.parallel import map_here
from kws.common.types import Features
from kws.features.logmel import FrontEnd, features
from kws.params.whole import load_params
from kws.recordings.audio import to_float
from pretrain.noises import NOISES
from pretrain.spoken import BANKS, read_spoken
from pretrain.teach import TAUGHT

CLIPS = Path("pretrain/work/clips")
COUNT, SEED = 100000, 5
CHANGED = {"val_share": 0.04, "snr_range": [-6, 26], "p_noise": 0.85}
"""What is not as in the user's augmentation."""
Row = tuple[str, str]


def main() -> None:
    """Draw words of all banks, and render them."""
    params = load_params(Path("params.yaml"))
    rate, augment = params.features.sample_rate, params.augment.model_copy(update=CHANGED)
    banks, words = {}, dict[str, str]()
    for name in BANKS:
        banks[name], said = read_spoken(name)
        words |= dict(zip(banks[name].names, said, strict=True))
    sources = Sources(
        words={f"{name} {i}": banks[name] for name, times in BANKS.items() for i in range(times)},
        background=read_bank(NOISES, rate),
        speech=empty_bank(),
        rirs=np.load("data/rirs/rirs.npy", allow_pickle=False),
    )
    recipe = Recipe(
        "pretrain", "word", COUNT, {"keyword": 1}, SEED, augment, rate, params.features.clip_samples, sources
    )
    made = list(map_here(partial(block, recipe, params.features), COUNT))
    drawn = [row for rows, _ in made for row in rows]
    taught = {name: np.load(TAUGHT / f"{name}.npy", allow_pickle=False) for name in BANKS}
    CLIPS.mkdir(parents=True, exist_ok=True)
    np.save(CLIPS / "features.npy", np.concatenate([heard for _, heard in made]))
    origins = [source.split("/") for source, _ in drawn]
    np.save(CLIPS / "taught.npy", np.stack([taught[name][int(index)] for name, index in origins]))
    with (CLIPS / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["word", "split"])
        writer.writerows((words[source], split) for source, split in drawn)


def block(recipe: Recipe, front_end: FrontEnd, indices: range) -> tuple[list[Row], Features]:
    """Return sources and splits, and features of consecutive clips."""
    rows, pcm = render_block(recipe, indices)
    with threadpool_limits(1):
        heard = np.stack([features(to_float(clip), front_end) for clip in pcm]).astype(front_end.dtype)
    return [(row.source, row.split) for row in rows], heard


if __name__ == "__main__":
    main()
