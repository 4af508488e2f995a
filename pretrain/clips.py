"""Clips of the spoken words, augmented much as a user's recordings are, and what a public embedding hears.

`python -m pretrain.clips` writes to pretrain/work/clips/: features.npy [clips, frames, n_mels], taught.npy
float16 [clips, 288], bands.npz (how its front end follows from ours) and clips.csv (word, split); a clip of
other speech or of background has no word. The embedding hears each clip alone, without noise and room: what
it hears there is what others are to hear through them.
"""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from kws.augment.recipe import Clip, Kind, Recipe
from kws.augment.render import render, render_block
from kws.augment.sources import Bank, Sources, read_bank
from kws.common.parallel import map_blocks
from kws.common.types import Features
from kws.features.logmel import FrontEnd, features
from kws.params.whole import load_params
from kws.recordings.audio import to_float
from pretrain.noises import NOISES
from pretrain.speak import SPEECH, SPOKEN
from pretrain.teacher import match_bands, teach

CLIPS = Path("pretrain/work/clips")
COUNT, SEED = 80000, 4
MATCHED = 1000
"""Clips by which the front ends are compared."""
FLOOR_DBFS = -80.0
"""Noise under a clip alone."""
CHANGED = {"val_share": 0.04, "snr_range": [-6, 22]}
"""What is not as in the user's augmentation."""
KINDS: dict[Kind, float] = {"keyword": 0.82, "speech": 0.15, "background": 0.03}
BANKS = {
    "espeak_words": 4,
    "kokoro_words": 5,
    "espeak_people": 1,
    "kokoro_people": 2,
    "people": 2,
    "espeak_phrases": 3,
    "kokoro_phrases": 2,
    "stamps": 4,
}
"""Whose words, and how often."""
Row = tuple[str, str]


def main() -> None:
    """Draw words of all synthesisers alike, render them, ask the teacher."""
    params = load_params(Path("params.yaml"))
    rate, augment = params.features.sample_rate, params.augment.model_copy(update=CHANGED)
    banks, words = spoken()
    sources = Sources(
        words=banks,
        background=read_bank(NOISES, rate),
        speech=read_bank(SPEECH, rate),
        rirs=np.load("data/rirs/rirs.npy", allow_pickle=False),
    )
    n = params.features.clip_samples
    recipe = Recipe("pretrain", "word", COUNT, KINDS, SEED, augment, rate, n, sources)
    made = list(map_blocks(partial(block, recipe, params.features), COUNT))
    CLIPS.mkdir(exist_ok=True)
    heard = np.concatenate([x for _, x, _ in made])
    np.save(CLIPS / "features.npy", heard)
    _, pcm = render_block(recipe, range(MATCHED))
    weight, bias = match_bands(pcm, heard[:MATCHED])
    np.savez(CLIPS / "bands.npz", weight=weight, bias=bias)
    np.save(CLIPS / "taught.npy", np.concatenate([taught for _, _, taught in made]))
    with (CLIPS / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["word", "split"])
        writer.writerows((words.get(source, ""), split) for rows, _, _ in made for source, split in rows)


def spoken() -> tuple[dict[str, Bank], dict[str, str]]:
    """Return BANKS, each as often as it says, and the word of each of their entries."""
    banks: dict[str, Bank] = {}
    words: dict[str, str] = {}
    for stem, times in BANKS.items():
        path = SPOKEN / f"{stem}.csv"
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [f"{stem}/{index}" for index in range(len(rows))]
        bounds = np.cumsum([0, *(int(row["samples"]) for row in rows)])
        offsets = {n: (int(a), int(b)) for n, a, b in zip(names, bounds, bounds[1:], strict=False)}
        samples = np.load(path.with_suffix(".npy"), allow_pickle=False)
        banks |= dict.fromkeys(
            (f"{stem} {i}" for i in range(times)), Bank(samples, offsets, dict.fromkeys(names, ""))
        )
        words |= {name: f"{row['language']}:{row['word']}" for name, row in zip(names, rows, strict=True)}
    return banks, words


def block(recipe: Recipe, front_end: FrontEnd, indices: range) -> tuple[list[Row], Features, Features]:
    """Return sources and splits, features and the teacher's answers of consecutive clips."""
    rows, pcm = render_block(recipe, indices)
    n = recipe.clip_samples
    quiet = np.stack([render(alone(row), recipe.sources, recipe.rate, n) for row in rows])
    with threadpool_limits(1):
        heard = np.stack([features(to_float(clip), front_end) for clip in pcm]).astype(front_end.dtype)
    return [(row.source, row.split) for row in rows], heard, teach(quiet).astype(np.float16)


def alone(clip: Clip) -> Clip:
    """Return a clip as the same voice says it without noise and room, to a faultless microphone."""
    return replace(clip, noise=(), rir=-1, eq_db=(), drive_db=0.0, offset=0.0, floor_dbfs=FLOOR_DBFS)


if __name__ == "__main__":
    main()
