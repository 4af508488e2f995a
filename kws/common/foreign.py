"""Files that somebody else may have written: read within bounds and with types, or refused in one line."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from kws.common.errors import UserError
from kws.common.labels import wrong_name

MOST = 16 * 2**20
"""Bytes of a table or of JSON that are read; those of this project are far shorter."""
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}

T = TypeVar("T")


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """Return a file's content. Raises UserError, before all of it is read, where it is longer than `most`."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is no file; name the right one")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(f"{path}: longer than the {most} bytes that it may have; is it the right file?")
    return content


def parse_json(text: bytes | str) -> Any:
    """Return what JSON says. Raises ValueError where it is none."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("brackets in brackets without end") from error


def typed(kind: type[T], values: object) -> T:
    """Return what JSON said as `kind`: a dataclass, or str, int, float, bool, list, dict or Literal.

    Nothing is converted but whole numbers where `float` is asked for. Raises ValueError that names the key:
    for one that is missing or unknown, for another type, and for what the dataclass itself refuses.
    """
    return cast(T, _typed(kind, values, ""))


def _typed(kind: Any, value: Any, key: str) -> Any:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, _object(value, key), key)
    if origin is list:
        items = _expect(value, list, key, "a list")
        return [_typed(arguments[0], item, f"{key}[{index}]") for index, item in enumerate(items)]
    if origin is dict:
        return {n: _typed(arguments[1], item, _join(key, n)) for n, item in _object(value, key).items()}
    if origin is Literal:
        if not isinstance(value, str) or value not in arguments:
            raise ValueError(f"{_subject(key)} is {_shown(value)}, expected {' or '.join(arguments)}")
        return value
    if kind is float and type(value) is int and abs(value) < 2**63:
        return float(value)
    return _expect(value, kind, key, _WORDS[kind.__name__])


def _dataclass(kind: Any, values: dict[str, Any], key: str) -> Any:
    hints = get_type_hints(kind)
    known = {field.name: field.default is MISSING for field in fields(kind)}
    for name in values:
        if name not in known:
            raise ValueError(f"{_join(key, name)} is not known here")
    for name, needed in known.items():
        if needed and name not in values:
            raise ValueError(f"{_join(key, name)} is missing")
    members = {name: _typed(hints[name], value, _join(key, name)) for name, value in values.items()}
    try:
        return kind(**members)
    except OverflowError as error:
        raise ValueError(f"{_subject(key)} holds a number that is out of all range") from error


def _object(value: Any, key: str) -> dict[str, Any]:
    found: dict[str, Any] = _expect(value, dict, key, "an object with keys")
    if not all(isinstance(name, str) for name in found):
        raise ValueError(f"{_subject(key)} has keys that are no texts")
    return found


def _expect(value: Any, kind: type, key: str, words: str) -> Any:
    fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{_subject(key)} is {_shown(value)}, expected {words}")
    return value


def _join(key: str, name: str) -> str:
    return f"{key}.{name[:40]}" if key else name[:40]


def _subject(key: str) -> str:
    return key or "it"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object with keys" if isinstance(value, dict) else "a list"
    if not isinstance(value, str | int | float | None) or (type(value) is int and abs(value) >= 2**63):
        return f"a huge or foreign {type(value).__name__}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}…"


def check_labels(labels: Sequence[str]) -> None:
    """Raise ValueError unless these are names of labels, each of them once.

    A label becomes a folder, a topic and an argument, also where params.yaml was never asked.
    """
    for label in labels:
        if wrong := wrong_name(label):
            raise ValueError(f"label {label[:60]!r}: {wrong[:200]}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"labels holds one name twice: {' '.join(labels)[:300]}")


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file in UTF-8, each with the line that it ends on.

    Every one of `columns` has a cell in each. Raises UserError where that is not so, or where it is no CSV.
    """
    expected = f"expected the columns {','.join(columns)} of a table in UTF-8"
    try:
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig"), newline=""))
        if not set(columns) <= set(reader.fieldnames or ()):
            raise UserError(f"{path}: {expected}")
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: {expected} ({error})") from error
    for line, row in rows:
        if short := [name for name in columns if row[name] is None]:
            raise UserError(f"{path}, line {line}: has no {' and no '.join(short)}; {expected}")
    return rows
