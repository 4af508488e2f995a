"""Which words sound so alike to the encoder that one may be taken for the other."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.types import Audio, Features
from kws.features.logmel import FrontEnd, features

LIMIT = 0.5
"""Cosine between two words' directions from which they are called alike.

Of 6,230 pairs of words by one speaker, 26 speakers in all (digits, Arabic commands, words and near misses of
data/eval), 43 lie above: one in nine recordings of the two by other speakers is nearer to the wrong one.
Below it is one in 160."""


def told(words: Mapping[str, Sequence[Audio]], front_end: FrontEnd, encoder: Path) -> Iterator[str]:
    """Yield a line for each two labels that sound alike; `words` are clips, float32 [samples].

    Where the encoder hears other features, a line says that nobody compared them.
    """
    words = {label: clips for label, clips in words.items() if clips}
    if len(words) < 2:
        return
    try:
        found = cosines(words, front_end, encoder)
    except UserError as error:
        yield f"which words sound alike is not known; {error}"
        return
    for (one, other), cosine in sorted(found.items(), key=lambda item: -item[1]):
        if cosine >= LIMIT:
            yield f"{one} and {other} sound alike (cosine {cosine:.2f}); choose another word for one of them"


def cosines(
    words: Mapping[str, Sequence[Audio]], front_end: FrontEnd, encoder: Path
) -> dict[tuple[str, str], float]:
    """Return the cosine between the directions of each two labels; `words` are clips, float32 [samples].

    A label's direction is the mean of its clips'. Raises UserError where the encoder hears other features.
    """
    labels = sorted(words)
    heard = directions([clip for label in labels for clip in words[label]], front_end, encoder)
    means, start = {}, 0
    for label in labels:
        mean = heard[start : start + len(words[label])].mean(axis=0)
        means[label] = mean / np.linalg.norm(mean)
        start += len(words[label])
    return {(a, b): float(means[a] @ means[b]) for a, b in combinations(labels, 2)}


def directions(clips: Sequence[Audio], front_end: FrontEnd, encoder: Path) -> NDArray[np.float32]:
    """Return what the encoder hears in clips, float32 [clips, embedding], each of length 1."""
    import torch

    from kws.models.encoder import Encoder
    from kws.training.transfer import load_encoder, start_from

    network = Encoder(1, front_end.n_mels, 2)
    start_from(network, load_encoder(encoder), front_end)
    mels: Features = np.stack([features(clip, front_end) for clip in clips])
    with torch.inference_mode():
        heard: NDArray[np.float32] = network.eval().embedding(torch.from_numpy(mels[:, None])).numpy()
    return heard
