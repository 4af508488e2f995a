"""A shard of clips on disk: one array and one manifest row a clip."""

import csv
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from kws.augment.recipe import Clip, Recipe
from kws.augment.render import render_block
from kws.common.arrays import write_array
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.parallel import map_blocks
from kws.common.types import Pcm

COLUMNS = tuple(field.name for field in fields(Clip))
TEXT = ("label", "kind", "split", "source", "source_sha256", "other")
"""Columns written as they are; the others are JSON."""
_ROWS = TypeAdapter(list[Clip])


def make_clips(folder: Path, recipe: Recipe) -> None:
    """Write `clips.npy`, int16 [n, samples], and `manifest.csv`, block by block over all workers."""
    shape = (recipe.n_clips, recipe.clip_samples)
    with replacing(folder) as part:
        part.mkdir()
        with (part / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            file.write(_lines([COLUMNS]))

            def audio() -> Iterator[Pcm]:
                for lines, pcm in map_blocks(partial(_block, recipe), recipe.n_clips):
                    file.write(lines)
                    yield pcm

            write_array(part / "clips.npy", shape, np.int16, audio())


def read_manifest(path: Path, chosen: Container[int] | None = None) -> list[Clip]:
    """Return the rows of a manifest, all or the chosen ones, from which `render` makes the same clips again.

    Raises UserError where the file is not a manifest of this version.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for i, row in enumerate(csv.DictReader(file)) if chosen is None or i in chosen]
            cells = [{name: _value(name, cell) for name, cell in row.items()} for row in rows]
            return _ROWS.validate_python(cells)
    except (TypeError, ValueError, csv.Error, RecursionError) as error:
        raise UserError(f"{path}: not a manifest of this version; run `dvc repro` again") from error


def _block(recipe: Recipe, indices: range) -> tuple[str, Pcm]:
    rows, pcm = render_block(recipe, indices)
    return _lines(map(_cells, rows)), pcm


def _lines(rows: Iterable[Sequence[str | float]]) -> str:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cells(row: Clip) -> list[str | float]:
    """Return text and numbers, which a CSV holds as they are, and the rest as JSON."""
    values = (getattr(row, name) for name in COLUMNS)
    return [value if isinstance(value, str | int | float) else json.dumps(value) for value in values]


def _value(name: str, cell: str) -> Any:
    if name in TEXT:
        return cell
    value = json.loads(cell)
    return tuple(value) if isinstance(value, list) else value
