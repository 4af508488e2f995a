"""A model listening to streams: features once a frame, one probability of each label a window."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kws.common.parallel import map_blocks
from kws.common.types import Audio
from kws.evaluation.streams import Stream
from kws.features.logmel import FrontEnd
from kws.recordings.audio import read_audio
from kws.runtime.inference import Classifier
from kws.runtime.scoring import Scorer

BLOCK_S = 10


def score_streams(
    model: Path, streams: list[Stream], front_end: FrontEnd, hop_ms: float
) -> list[tuple[float, NDArray[np.float32]]]:
    """Return each stream's seconds and its probabilities, float32 [windows, labels]; streams in parallel."""
    work = partial(_score_block, model, streams, front_end, hop_ms)
    return [scored for block in map_blocks(work, len(streams), 1) for scored in block]


def in_blocks(audio: Audio, rate: int) -> Iterator[Audio]:
    """Yield a stream piece by piece, so that only one piece's windows are in memory."""
    size = BLOCK_S * rate
    yield from (audio[start : start + size] for start in range(0, len(audio), size))


def _score_block(
    model: Path, streams: list[Stream], front_end: FrontEnd, hop_ms: float, indices: range
) -> list[tuple[float, NDArray[np.float32]]]:
    classifier, rate = Classifier(model), front_end.sample_rate
    scored = []
    with threadpool_limits(1):
        for index in indices:
            audio = read_audio(streams[index].path, rate)
            scorer = Scorer(classifier, front_end, hop_ms)
            parts = [scorer.push(block) for block in in_blocks(audio, rate)]
            scored.append((len(audio) / rate, np.concatenate(parts)))
    return scored
