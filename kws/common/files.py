"""Files that are either whole or absent, whoever else writes them and whenever a run is killed."""

import csv
import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from kws.common.errors import UserError

PARTIAL, _LOCK, _OLD = ".partial", ".lock", ".old"
WAIT_S = 5.0
"""How long a writer waits for another of the same file: a small one is done by then."""
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""A full disk, a file larger than its file system or the user's limit allows, a quota used up."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; an absent one is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path in the folder `<path>.partial` to write a file or a folder to; success puts it at `path`.

    What killed runs left behind is cleared, here and of other outputs in the same folder. Where another
    process writes `path` it is waited for, WAIT_S at most, then UserError is raised. An OSError of a full
    disk names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path.parent.absolute())
    with naming(path), _working(path.with_name(path.name + PARTIAL)) as folder:
        yield folder / path.name
        _swap(folder / path.name, path, folder / _OLD)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield an empty folder below `path` that is removed afterwards, as is what a killed run left of it.

    Raises UserError where another process works there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), _working(path) as folder:
        work = folder / "work"
        work.mkdir()
        yield work


def write_new(names: Iterable[Path], content: bytes) -> Path:
    """Write a file, whole, under the first of endless names that is free, and return it: none is replaced.

    An OSError of a full disk names the file.
    """
    return next(path for path in names if not os.path.lexists(path) and _write_new(path, content))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give the OSError of a full disk the name of `path` where it knows no file, or the one copied from."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and (error.filename is None or error.filename2 is not None):
            error.filename, error.filename2 = str(path), None
        raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON that ends in a newline, LF on every platform."""
    with replacing(path) as partial:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        partial.write_bytes(text.encode())


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as UTF-8 CSV with a header, LF on every platform; None is an empty cell."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path, text: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a CSV file: floats, None for an empty cell, and strings in the columns of `text`.

    Raises UserError for a file that holds anything else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {name: cell if name in text else float(cell) if cell else None for name, cell in row.items()}
                for row in csv.DictReader(file, strict=True)
            ]
    except (ValueError, TypeError, csv.Error) as error:  # a row that is too long is a list
        raise UserError(f"{path}: no table of numbers ({error}); remove it and run `dvc repro`") from error


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):  # hashlib.file_digest is newer than the Python of the boards
            digest.update(block)
    return digest.hexdigest()


def _write_new(path: Path, content: bytes) -> bool:
    """Say whether the name was still free when the file was whole."""
    with scratch(path.with_name(path.name + PARTIAL)) as work, naming(path):
        new = work / path.name
        new.write_bytes(content)
        try:
            path.hardlink_to(new)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if os.path.lexists(path):
                return False
            new.rename(path)
        return True


def _swap(new: Path, path: Path, aside: Path) -> None:
    """Put `new` in the place of `path`; no folder is written over, so what it replaces goes aside first."""
    if new.is_dir() or path.is_dir():
        with suppress(FileNotFoundError):
            path.rename(aside)
    try:
        new.replace(path)
    except OSError:
        if aside.exists():
            aside.rename(path)
        raise


@contextmanager
def _working(folder: Path) -> Iterator[Path]:
    """Yield a folder that is this caller's alone, empty but for its lock and gone afterwards."""
    deadline = time.monotonic() + WAIT_S
    while (lock := _lock(folder)) is None:
        if time.monotonic() > deadline:
            raise UserError(
                f"{folder}: another process is writing here; let it end, or stop it, and run again"
            )
        time.sleep(0.01)
    try:
        _empty(folder)
        yield folder
    finally:
        _give_up(folder, lock)


@cache
def _clear_leftovers(parent: Path) -> None:
    """Clear what killed runs left in a folder; once a process, because a folder may hold many files."""
    for found in parent.glob(f"*{PARTIAL}/{_LOCK}"):
        if lock := _lock(found.parent):
            _give_up(found.parent, lock)


def _lock(folder: Path) -> BinaryIO | None:
    """Make a folder if need be and return its lock, or None where somebody else holds or removes it.

    The system lets go of a lock when its holder ends, however it ends.
    """
    if folder.is_symlink() or folder.is_file():
        remove(folder)
    try:
        folder.mkdir(exist_ok=True)
        file = (folder / _LOCK).open("ab")
    except (FileExistsError, FileNotFoundError):  # it was removed between two looks at it
        return None
    except PermissionError:
        if sys.platform == "win32":  # it is being removed
            return None
        raise
    if _take(file):
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / _LOCK).stat()):
                return file
    file.close()
    return None


def _give_up(folder: Path, lock: BinaryIO) -> None:
    """Remove a folder, its lock last and while it is held: nobody must take one that goes away."""
    _empty(folder)
    if sys.platform == "win32":  # removes no open file, so not one either that somebody has just taken
        lock.close()
    with suppress(OSError):
        (folder / _LOCK).unlink()
        folder.rmdir()
    lock.close()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK:
            remove(path)


if sys.platform == "win32":
    import msvcrt

    def _take(file: BinaryIO) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _take(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except (
            OSError
        ) as error:  # a file system without locks keeps no two runs apart, and is used all the same
            return error.errno in _NO_LOCKS
        return True
