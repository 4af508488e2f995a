"""What the evaluation's clips and streams sound like to a frozen encoder, heard once for all heads to come.

A folder holds the directions of each set of windows, `<set>.npy`, float32 [windows, embedding], and the
features of those that were drawn, `<set>_drawn.npy`, float32 [n, 1, frames, n_mels]: by them a whole model is
compared with its head. Sets are `words`, `near_misses` and `stream_<n>`; `streams.csv` holds their seconds.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.common.arrays import check_numbers, map_array, write_array
from kws.common.errors import UserError
from kws.common.files import read_table, write_table
from kws.common.parallel import map_items
from kws.common.seeding import rng
from kws.common.types import Directions, Features, Indices, Logits
from kws.evaluation.scoring import pieces
from kws.evaluation.streams import Stream
from kws.features.logmel import FrontEnd
from kws.features.streaming import FeatureStream, n_windows
from kws.recordings.audio import read_audio
from kws.runtime.inference import Classifier, softmax
from kws.runtime.scoring import probabilities

WORDS, NEAR_MISSES, TABLE, DRAWN = "words.npy", "near_misses.npy", "streams.csv", "_drawn.npy"
BLOCK, PART = 64, 4096
"""Windows that an encoder, and a head, hears before others are taken."""
EACH = 100
"""One window of so many is drawn."""
AGREE = 1e-5
"""Largest difference of a probability between a whole model and its head on what the encoder heard."""

Drawn = tuple[Features, Directions]
"""Windows that were drawn, float32 [n, 1, frames, n_mels], and what they sound like."""


def hear_clips(out: Path, encoder: Classifier, features: Features, seed: int) -> None:
    """Write what the clips of a set, float32 [n, 1, frames, n_mels], sound like."""
    blocks = ((slice(at, at + BLOCK), features[at : at + BLOCK]) for at in range(0, len(features), BLOCK))
    _write(out, encoder, len(features), seed, None, blocks)


def hear_streams(
    folder: Path, encoder: Classifier, streams: list[Stream], front_end: FrontEnd, hop_ms: float, seed: int
) -> None:
    """Write what the windows of streams sound like, one stream in memory at a time."""
    rows = []
    for index, stream in enumerate(streams):
        audio = read_audio(stream.path, front_end.sample_rate)
        n = n_windows(len(audio), front_end, hop_ms)
        parts = ((windows, audio[samples]) for windows, samples in pieces(len(audio), front_end, hop_ms))
        _write(_stream(folder, index), encoder, n, seed, (front_end, hop_ms), parts)
        rows.append({"stream": stream.name, "seconds": len(audio) / front_end.sample_rate})
    write_table(folder / TABLE, ["stream", "seconds"], rows)


def score_streams(folder: Path, head: Classifier, streams: list[Stream]) -> list[tuple[float, Logits]]:
    """Return each stream's seconds and what a head makes of it, probabilities float32 [windows, labels].

    Raises UserError where other streams were heard.
    """
    rows = read_table(folder / TABLE, ("stream",))
    if [row["stream"] for row in rows] != [stream.name for stream in streams]:
        raise UserError(f"{folder}: was made of other streams; run `dvc repro`")
    return [(row["seconds"], _probabilities(head, _stream(folder, i))) for i, row in enumerate(rows)]


def directions(path: Path, head: Classifier) -> Directions:
    """Return the directions of a set, mapped; UserError where they are not what a head takes."""
    heard, width = map_array(path, np.float32, 2), head.session.get_inputs()[0].shape[1]
    if len(heard) and heard.shape[1] != width:
        found = f"holds directions of {heard.shape[1]} numbers, expected {width}"
        raise UserError(f"{path}: {found}; run `dvc repro -f hear_eval`")
    check_numbers(path, heard)
    return np.asarray(heard)  # no `memmap`: its rows are slow to take


def clip_logits(head: Classifier, path: Path, n: int) -> Logits:
    """Return what a head makes of the n clips of a set; UserError where others were heard."""
    heard = directions(path, head)
    if len(heard) != n:
        raise UserError(f"{path}: holds {len(heard)} clips, expected {n}; run `dvc repro -f hear_eval`")
    return head.logits(heard)


def drawn(n: int, seed: int, name: str) -> Indices:
    """Return which of the n windows of a set are drawn, ascending: one of EACH, rounded up."""
    return np.sort(rng(seed, f"drawn {name}", 0).permutation(n)[: -(-n // EACH)])


def read_drawn(folder: Path, seed: int, head: Classifier) -> Iterator[Drawn]:
    """Yield the drawn windows of each set; UserError where they are not those of what was heard."""
    for whole in sorted(path for path in folder.glob("*.npy") if not path.name.endswith(DRAWN)):
        name, path = whole.stem, whole.with_name(whole.stem + DRAWN)
        heard = directions(whole, head)
        if not path.exists():
            raise UserError(f"{path}: is missing; run `dvc repro -f hear_eval`")
        features, chosen = map_array(path, np.float32, 4), drawn(len(heard), seed, name)
        if len(features) != len(chosen):
            found = f"holds {len(features)} windows, expected {len(chosen)}"
            raise UserError(f"{path}: {found}; run `dvc repro -f hear_eval`")
        yield features, heard[chosen]


def compare(model: Classifier, head: Classifier, windows: Iterable[Drawn]) -> float:
    """Return by how much a probability of these windows differs at most, between a model and its head.

    Raises UserError where that is more than AGREE: what the head says would then not be what the model does.
    """
    largest = 0.0
    for features, heard in windows:
        apart = np.abs(softmax(model.logits(features)) - softmax(head.logits(heard)))
        largest = float(np.maximum(largest, apart.max(initial=0)))  # `max` would forget NaN
    if not largest <= AGREE:
        raise UserError(
            f"models/kws.onnx: its probabilities differ by {largest:.2g} from those of its head on what"
            f" the encoder heard, expected {AGREE:g} at most; run `dvc repro -f train encoder`"
        )
    return largest


def _stream(folder: Path, index: int) -> Path:
    return folder / f"stream_{index:05}.npy"


def _probabilities(head: Classifier, path: Path) -> Logits:
    own = directions(path, head)
    parts = (own[start : start + PART] for start in range(0, len(own), PART))
    none = np.zeros((0, head.n_labels), np.float32)
    return np.concatenate([none, *map_items(partial(probabilities, head), parts)])


def _hear(
    encoder: Classifier, windows: tuple[FrontEnd, float] | None, block: tuple[NDArray[Any], Indices]
) -> tuple[Directions, Features]:
    """Return what a block sounds like, features or audio of `windows`, and the features that are drawn."""
    heard, chosen = block
    features = FeatureStream(*windows).push(heard) if windows else heard
    return encoder.logits(features), features[chosen]


def _write(
    out: Path,
    encoder: Classifier,
    n: int,
    seed: int,
    windows: tuple[FrontEnd, float] | None,
    blocks: Iterable[tuple[slice, NDArray[Any]]],
) -> None:
    """Write the directions of n windows, which come in blocks, and the features of those that are drawn."""
    chosen, kept = drawn(n, seed, out.stem), [np.empty((0, 1, 0, 0), np.float32)]
    inside = ((block, chosen[(at.start <= chosen) & (chosen < at.stop)] - at.start) for at, block in blocks)

    def directions() -> Iterator[Directions]:
        for heard, features in map_items(partial(_hear, encoder, windows), inside):
            kept.append(features)
            yield heard

    write_array(out, (n, encoder.n_labels), np.float32, directions())
    write_array(out.with_name(out.stem + DRAWN), (len(chosen), *kept[-1].shape[1:]), np.float32, kept)
