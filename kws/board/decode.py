"""What a board wrote, in words: output.bin files as labels with their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.board.inputs import logits_of, read_labels
from kws.common.errors import UserError
from kws.common.foreign import read_bytes
from kws.runtime.inference import softmax


@dataclass(frozen=True)
class Decoded:
    """One output.bin."""

    file: str
    label: str
    """The likeliest."""
    probabilities: dict[str, float]
    logits: dict[str, float] | None
    """None where the file holds probabilities."""


@dataclass(frozen=True)
class Score:
    """A folder of outputs against the labels of its inputs."""

    n: int
    missing: int
    """Inputs without an output: they count as wrong."""
    accuracy: float
    confusion: dict[str, dict[str, int]]
    """How often each label (outer) was taken for each (inner)."""


def decode(path: Path, labels: Sequence[str], probabilities: bool = False) -> Decoded:
    """Read an output.bin: one float32 for each label, logits as this project's models give them.

    With `probabilities` they are read as such, for models that end in a softmax. Raises UserError for a file
    of another length, and for probabilities that are none.
    """
    values = logits_of(read_bytes(path), len(labels), str(path))
    shares = values if probabilities else softmax(values.astype(np.float64))
    if probabilities and (values.min() < 0 or abs(values.sum() - 1) > 0.01):
        raise UserError(f"{path}: its values are not probabilities; leave out --probabilities to read logits")
    return Decoded(
        str(path),
        labels[int(values.argmax())],
        {label: round(float(share), 6) for label, share in zip(labels, shares, strict=True)},
        None if probabilities else {x: float(v) for x, v in zip(labels, values, strict=True)},
    )


def score(folder: Path, table: Path, labels: Sequence[str], probabilities: bool = False) -> Score:
    """Compare `<folder>/<index>/output.bin` with the labels.csv that was written along with the inputs.

    Raises UserError where the table is not one, names other labels, or nothing of it is in the folder.
    """
    rows = read_labels(table, labels)
    paths = {row.index: folder / row.index / "output.bin" for row in rows}
    there = [row for row in rows if paths[row.index].is_file()]
    if not there:
        raise UserError(
            f"{folder}: holds no <index>/output.bin of {table}; give the output folder of the run"
        )
    confusion = {actual: dict.fromkeys(labels, 0) for actual in labels}
    for row in there:
        confusion[row.label][decode(paths[row.index], labels, probabilities).label] += 1
    right = sum(confusion[label][label] for label in labels)
    return Score(len(rows), len(rows) - len(there), right / len(rows), confusion)
