"""Features in, directions out, on all cores: the same bits for any number of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from kws.common.arrays import map_array, write_array
from kws.common.files import replacing
from kws.common.parallel import in_threads
from kws.common.types import Directions, Features
from kws.features.logmel import FrontEnd
from kws.runtime.inference import Classifier

BLOCK = 64
"""Clips that one thread hears before it takes others."""


def open_encoder(path: Path) -> Classifier | None:
    """Load what hears; None for a network that starts from nothing, for which there is no graph."""
    return Classifier(path) if path.stat().st_size else None


def hear(encoder: Classifier, blocks: Iterable[Features]) -> Iterator[Directions]:
    """Yield the directions, float32 [n, embedding], of each block of features [n, 1, frames, n_mels].

    One clip at a time: what a clip sounds like must not depend on others, and batches are no faster.
    """
    return in_threads(encoder.logits, blocks)


def hear_shard(path: Path, features: Path, out: Path, front_end: FrontEnd) -> None:
    """Write what a shard of features sounds like to the encoder at `path`, float32 [clips, embedding].

    Without an encoder that is an array of shape [0, 0].
    """
    encoder = open_encoder(path)
    n = len(map_array(features, front_end.dtype, 3)) if encoder else 0

    def block(start: int) -> Features:  # mapped anew: pages that are read stay resident until a map is closed
        shard = map_array(features, front_end.dtype, 3)
        return shard[start : start + BLOCK, None].astype(np.float32)

    heard = hear(encoder, map(block, range(0, n, BLOCK))) if encoder else ()
    with replacing(out) as partial:
        write_array(partial, (n, encoder.n_labels if encoder else 0), np.float32, heard)
