"""A model listening to streams: features once a frame, one probability of each label a window."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from kws.common.parallel import map_items
from kws.common.types import Audio, Logits
from kws.evaluation.streams import Stream
from kws.features.logmel import FrontEnd
from kws.features.streaming import hop_samples, n_windows
from kws.recordings.audio import read_audio
from kws.runtime.inference import Classifier
from kws.runtime.scoring import Scorer

PIECE_S = 20.0
"""Windows that begin within so many seconds are heard together, in one place."""


def score_streams(
    model: Path, streams: list[Stream], front_end: FrontEnd, hop_ms: float
) -> list[tuple[float, Logits]]:
    """Return each stream's seconds and its probabilities, float32 [windows, labels]."""
    classifier, rate, scored = Classifier(model), front_end.sample_rate, []
    for stream in streams:
        audio = read_audio(stream.path, rate)
        work = partial(_score, classifier, front_end, hop_ms)
        parts = map_items(work, (audio[samples] for _, samples in pieces(len(audio), front_end, hop_ms)))
        none = np.zeros((0, classifier.n_labels), np.float32)
        scored.append((len(audio) / rate, np.concatenate([none, *parts])))
    return scored


def pieces(samples: int, front_end: FrontEnd, hop_ms: float) -> Iterator[tuple[slice, slice]]:
    """Yield windows and samples of the pieces of a stream, which together hold each window once.

    A piece is heard as a stream of its own, so its bits do not depend on what is before it.
    """
    n, hop = n_windows(samples, front_end, hop_ms), hop_samples(front_end, hop_ms)
    step = max(1, round(PIECE_S * 1000 / hop_ms))
    for first in range(0, n, step):
        last = min(first + step, n)
        yield slice(first, last), slice(first * hop, (last - 1) * hop + front_end.clip_samples)


def _score(classifier: Classifier, front_end: FrontEnd, hop_ms: float, audio: Audio) -> Logits:
    return Scorer(classifier, front_end, hop_ms).push(audio)
