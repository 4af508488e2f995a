"""What a model answers to all that it is measured on, by itself or by its head on what was heard before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from kws.common.types import Directions, Features, Logits
from kws.detector import Averages, Rules
from kws.evaluation import heard
from kws.evaluation.halves import head_of
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import Stream
from kws.evaluation.sweep import Heard
from kws.features.logmel import FrontEnd
from kws.runtime.inference import Classifier


@dataclass(frozen=True)
class Answers:
    """Logits of clips, float32 [n, labels], and of each stream its seconds and probabilities."""

    val: Logits
    words: Logits
    near_misses: Logits
    streams: list[tuple[float, Logits]]


def averages(
    scored: Iterable[tuple[float, Logits]], streams: Sequence[Stream], rules: Rules, columns: list[int]
) -> list[Heard]:
    """Return what thresholds are compared with in each stream, of its seconds and its probabilities.

    `columns` are those of the keywords.
    """
    return [
        Heard(seconds, Averages(rules, len(columns)).push(scores[:, columns]), stream.spoken)
        for (seconds, scores), stream in zip(scored, streams, strict=True)
    ]


def of_model(
    path: Path,
    val: Iterable[Features],
    clips: Sequence[Features],
    streams: list[Stream],
    front_end: FrontEnd,
    hop_ms: float,
) -> Answers:
    """Let a model listen to everything: validation clips in batches, words and near misses, and streams."""
    model, (words, near_misses) = Classifier(path), clips
    return Answers(
        np.concatenate([model.logits(batch) for batch in val]),
        model.logits(words),
        model.logits(near_misses),
        score_streams(path, streams, front_end, hop_ms),
    )


def of_head(
    path: Path,
    val: Iterable[Directions],
    val_drawn: heard.Drawn,
    folder: Path,
    clips: tuple[int, int],
    streams: list[Stream],
    seed: int,
) -> Answers:
    """Let a model's head answer to what its encoder has heard, which `folder` holds of the evaluation.

    `clips` says how many words and near misses there are. Raises UserError where others were heard, and
    where the whole model answers otherwise to the windows that `seed` draws there, or to the validation
    clips `val_drawn`.
    """
    model, head = Classifier(path), Classifier(head_of(onnx.load(path)).SerializeToString())
    heard.compare(model, head, [val_drawn, *heard.read_drawn(folder, seed, head)])
    return Answers(
        np.concatenate([head.logits(batch) for batch in val]),
        heard.clip_logits(head, folder / heard.WORDS, clips[0]),
        heard.clip_logits(head, folder / heard.NEAR_MISSES, clips[1]),
        heard.score_streams(folder, head, streams),
    )
