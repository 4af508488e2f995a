"""Streams on disk: long recordings, and a table that says where keywords lie in them."""

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.foreign import read_rows
from kws.recordings.audio import audio_files

LABELS = "labels.csv"
BACKGROUND = "background.flac"
"""The one stream of a folder in which nobody speaks."""
RECORDINGS = "recordings"
"""The condition of all that somebody recorded."""
HEADER = ["file", "label", "start", "end"]


@dataclass(frozen=True)
class Spoken:
    """A stretch of a stream, in seconds: a keyword, or under the background label a word like one."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Stream:
    """A recording and what is said in it."""

    path: Path
    name: str
    """path below the folder that it came from"""
    group: str
    """what varies together: the voice. Its folder, or the file itself where it lies in none."""
    condition: str
    """what else may matter: the file's stem, or one name for a whole folder"""
    tuning: bool
    """whether thresholds are chosen on it; all others are what is reported"""
    spoken: list[Spoken]


def read_streams(
    folder: Path, labels: list[str], background: str, condition: str | None = None
) -> list[Stream]:
    """Return the recordings under `folder`, sorted; those that `labels.csv` does not name hold no keyword.

    Every second group is for tuning, counted among its like (those that say keywords, those that do not,
    backgrounds), so that each half has its share. A file's stem is its condition, unless all share one.
    Raises UserError for a table that names unknown labels, absent files or times that are none, and for one
    of another name, without which all that is said would count as false accepts.
    """
    for table in sorted([*folder.rglob("*.csv"), *folder.rglob("*.tsv")]):
        if table != folder / LABELS:
            raise UserError(f"{table}: what is said is read from {folder / LABELS} alone; rename or move it")
    files = audio_files(folder, optional=True, besides=(LABELS,))
    names = {path.relative_to(folder).as_posix(): path for path in files}
    spoken = _read_labels(folder / LABELS, set(names), labels) if (folder / LABELS).is_file() else {}
    says = {_group(name) for name, words in spoken.items() if any(w.label != background for w in words)}
    groups = sorted({_group(name) for name in names})
    empty = {group for group in groups if f"{group}/{BACKGROUND}" in names}
    tuning = {
        group
        for kind in (says, empty - says, set(groups) - says - empty)
        for group in [group for group in groups if group in kind][1::2]
    }
    return [
        Stream(
            path=path,
            name=name,
            group=_group(name),
            condition=condition or path.stem,
            tuning=_group(name) in tuning,
            spoken=spoken.get(name, []),
        )
        for name, path in names.items()
    ]


def read_both(made: Path, own: Path, labels: list[str], background: str) -> list[Stream]:
    """Return the streams that a stage made, then what the user recorded; a voice of both is in one half."""
    streams = read_streams(made, labels, background)
    halves = {stream.group: stream.tuning for stream in streams}
    recorded = read_streams(own, labels, background, RECORDINGS)
    return [*streams, *(replace(s, tuning=halves.get(s.group, s.tuning)) for s in recorded)]


def write_labels(path: Path, spoken: dict[str, list[Spoken]]) -> None:
    """Write the table of a folder of streams: file, label, start and end in seconds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for name, words in spoken.items():
            writer.writerows((name, word.label, f"{word.start:.3f}", f"{word.end:.3f}") for word in words)


def relabel(table: Path, name: str, spoken: list[Spoken]) -> None:
    """Have a table of streams say of one file what is spoken in it, of the others what it says of them."""
    rows = dict[str, list[Spoken]]()
    for _, row in read_rows(table, HEADER) if table.exists() else ():
        said = Spoken(row["label"], float(row["start"]), float(row["end"]))
        rows.setdefault(row["file"], []).append(said)
    with replacing(table) as partial:
        write_labels(partial, rows | {name: spoken})


def _group(name: str) -> str:
    return name.rsplit("/", 1)[0]


def _read_labels(path: Path, names: set[str], labels: list[str]) -> dict[str, list[Spoken]]:
    spoken: dict[str, list[Spoken]] = {}
    seen: set[tuple[str, Spoken]] = set()
    for line, row in read_rows(path, HEADER):
        where = f"{path}, line {line}"
        if row["file"] not in names:
            raise UserError(f"{where}: no recording {row['file'][:100]} beside it; correct the name")
        if row["label"] not in labels:
            raise UserError(f"{where}: label {row['label'][:100]}, expected one of {' '.join(labels)}")
        try:
            start, end = float(row["start"]), float(row["end"])
        except ValueError as error:
            raise UserError(f"{where}: start and end must be seconds, such as 12.5") from error
        if not 0 <= start < end < math.inf:
            raise UserError(f"{where}: start {start:g} and end {end:g}, expected 0 <= start < end")
        said = Spoken(row["label"], start, end)
        if (row["file"], said) in seen:
            raise UserError(f"{where}: says again what an earlier line says; remove one of them")
        seen.add((row["file"], said))
        spoken.setdefault(row["file"], []).append(said)
    return spoken
