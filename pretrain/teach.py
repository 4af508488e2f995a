"""What three teachers hear in each spoken word alone: `python -m pretrain.teach WORDNET FORMER LATEST`.

WORDNET is the network of EfficientWord-Net (pretrain/wordnet.py), which learned words of people; FORMER and
LATEST are earlier encoders as the pipeline exported them (models/encoder.onnx), FORMER one whose two networks
are laid beside each other. Together they know more than any; each has its share of a cosine. Writes what
they hear to pretrain/work/taught/NAME.npy for each NAME of pretrain/work/spoken, float16 [words, EMBEDDING]
of length 1: the directions in which words differ most. It goes on with the bank at which it was stopped.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from kws.common.files import replacing
from kws.common.parallel import map_here
from kws.common.types import Audio, Directions
from kws.features.logmel import FrontEnd, features
from kws.models.encoder import EMBEDDING
from kws.params.whole import load_params
from kws.runtime.inference import Classifier, Session, cpu_session
from pretrain import wordnet
from pretrain.spoken import BANKS, read_spoken, words_of

TAUGHT = Path("pretrain/work/taught")
SHARES = {"wordnet": 0.4, "former": 0.4, "latest": 0.2}
"""Of a cosine, by each teacher."""
FIRST, SECOND = 192, 0.6
"""Numbers by the first network of FORMER, and what share of its cosines is by the second one."""
FLOOR_DB = 60
"""Noise lies so far under the peak of a word, for no teacher has heard digital silence."""


def main(word_net: Path, former: Path, latest: Path) -> None:
    """Ask all, and keep what differs most."""
    front_end = load_params(Path("params.yaml")).features
    asked = {
        "wordnet": partial(by_wordnet, word_net),
        "former": partial(by_encoder, former, front_end),
        "latest": partial(by_encoder, latest, front_end),
    }
    heard = {
        name: {teacher: answers(name, teacher, ask).astype(np.float32) for teacher, ask in asked.items()}
        for name in BANKS
    }
    mean = np.concatenate([by["wordnet"] for by in heard.values()]).mean(axis=0)
    joined = {
        name: join(unit(by["wordnet"] - mean), weigh(by["former"]), unit(by["latest"]))
        for name, by in heard.items()
    }
    everything = np.concatenate(list(joined.values()))
    variances, axes = np.linalg.eigh(everything.T @ everything)
    kept = variances[-EMBEDDING:].sum() / variances.sum()
    print(f"{kept:.1%} of the variance is in {EMBEDDING} directions")
    for name, directions in joined.items():
        with replacing(TAUGHT / f"{name}.npy") as written:
            np.save(written, unit(directions @ axes[:, -EMBEDDING:]).astype(np.float16))


def answers(name: str, teacher: str, ask: Callable[[list[Audio]], Directions]) -> Directions:
    """Return what a teacher hears in a bank: float16 [words, numbers], asked once."""
    path = TAUGHT / teacher / f"{name}.npy"
    if not path.exists():
        said = words_of(read_spoken(name)[0])
        heard = np.concatenate(list(map_here(partial(_block, ask, said), len(said))))
        with replacing(path) as written:
            np.save(written, heard.astype(np.float16))
    found: Directions = np.load(path, allow_pickle=False)
    return found


def _block(ask: Callable[[list[Audio]], Directions], said: list[Audio], indices: range) -> Directions:
    return ask([said[index] for index in indices])


def by_wordnet(path: Path, said: list[Audio]) -> Directions:
    """Return what EfficientWord-Net hears: float32 [words, 2048]."""
    return wordnet.hear(_network(path), np.stack([alone(audio, wordnet.SAMPLES) for audio in said]))


def by_encoder(path: Path, front_end: FrontEnd, said: list[Audio]) -> Directions:
    """Return what the former encoder hears: float32 [words, numbers]."""
    heard = [features(alone(audio, front_end.clip_samples), front_end) for audio in said]
    return Classifier(_network(path)).logits(np.stack(heard)[:, None])


@cache
def _network(path: Path) -> Session:
    return cpu_session(path)


def alone(audio: Audio, n: int) -> Audio:
    """Return the n samples around the middle of a word in faint noise."""
    noise = np.random.default_rng(0).standard_normal(n, np.float32) * np.float32(np.abs(audio).max())
    missing = max(0, n - len(audio))
    whole = np.pad(audio, (missing // 2, missing - missing // 2))
    start = (len(whole) - n) // 2
    heard: Audio = whole[start : start + n] + noise * np.float32(10 ** (-FLOOR_DB / 20))
    return heard


def weigh(heard: Directions) -> Directions:
    """Return directions of the former encoder, in which SECOND of a cosine is by its second network."""
    parts = unit(heard[:, :FIRST]), unit(heard[:, FIRST:])
    return _laid_beside(parts, [1 - SECOND, SECOND])


def join(*parts: Directions) -> Directions:
    """Return directions in which each of the teachers has its share."""
    return _laid_beside(parts, list(SHARES.values()))


def _laid_beside(parts: Sequence[Directions], shares: list[float]) -> Directions:
    weighed = [part * np.float32(share**0.5) for part, share in zip(parts, shares, strict=True)]
    return np.concatenate(weighed, axis=1)


def unit(vectors: Directions) -> Directions:
    """Return vectors of length 1."""
    directions: Directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return directions


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
