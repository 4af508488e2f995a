"""Files that are sorted: each is whole and in one place however it ends, and goes back if that is wanted."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from kws.collect.places import Place
from kws.common.files import write_new
from kws.evaluation.streams import LABELS, Spoken, relabel

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Move:
    """A file that was moved, and how the move is taken back."""

    source: Path
    target: Path
    undo: Callable[[], object]


def move(source: Path, place: Place) -> Move:
    """Move a file to the first free name of a place."""
    with uninterrupted():
        target = _moved(source, place.names())
    return Move(source, target, lambda: _back(target, source))


def move_stream(source: Path, streams: Path, place: Place, spoken: Spoken | None) -> Move:
    """Move a file to a place in a folder of streams, with what is said in it in the folder's table."""
    with uninterrupted():
        target = _moved(source, place.names())
        name = target.relative_to(streams).as_posix()
        if spoken:
            try:
                relabel(streams / LABELS, name, [spoken])
            except BaseException:
                _moved(target, iter([source]))
                raise

    def undo() -> None:
        with uninterrupted():
            if spoken:
                relabel(streams / LABELS, name, [])
            _moved(target, iter([source]))

    return Move(source, target, undo)


def _back(target: Path, source: Path) -> None:
    with uninterrupted():
        _moved(target, iter([source]))


def _moved(source: Path, names: Iterator[Path]) -> Path:
    """Move a file to the first of the names that is free; from one file system to another it is copied."""
    target = next(path for path in names if not os.path.lexists(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target = write_new(iter([target]), source.read_bytes())
        source.unlink()
    return target


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the end of the `with` statement."""
    came: list[tuple[int, FrameType | None]] = []
    before: dict[int, Any] = {
        number: signal.signal(number, lambda number, frame: came.append((number, frame)))
        for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
