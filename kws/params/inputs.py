"""A stage's parameters, inputs and outputs, as dvc.yaml names them and as they are at one moment.

When a stage has ended DVC looks at its inputs again, and records its outputs as made of what it then sees.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from kws.params.whole import read_values

IGNORED = (
    "__pycache__",
    "*.partial",
    ".DS_Store",
    "._*",
    ".directory",
    "desktop.ini",
    "Thumbs.db",
    "*Zone.Identifier",
    "__MACOSX",
    "@eaDir",
)
"""Names that DVC ignores too: those of .dvcignore."""

Stamp = tuple[int, int, int]
"""Size, time of the last change and number of a file: by these DVC, too, knows one that has not changed."""


@dataclass(frozen=True)
class Stage:
    """What dvc.yaml says of a stage: names of parameters and paths, all filled in."""

    name: str
    params: list[str]
    deps: list[str]
    outs: list[str]


@dataclass(frozen=True)
class Inputs:
    """Values by the parameter's name, and files by path."""

    params: dict[str, Any]
    files: dict[str, Stamp]


def read_stage(name: str, pipeline: Path, params: Path) -> Stage:
    """Read a stage of dvc.yaml, such as `augment@SALIR`; UserError where params.yaml cannot be read."""
    group, _, key = name.partition("@")
    entry = YAML(typ="safe").load(pipeline.read_bytes())["stages"][group]
    body = entry.get("do", entry)
    values = read_values(params) | {"key": key, "item": dict.fromkeys(entry.get("matrix", {}), key)}

    def filled(texts: list[Any]) -> list[str]:
        plain = [next(iter(text)) if isinstance(text, dict) else text for text in texts]
        return [re.sub(r"\$\{([\w.]+)\}", lambda match: str(_value(values, match[1])), t) for t in plain]

    return Stage(name, *(filled(body[part]) for part in ("params", "deps", "outs")))


def look(stage: Stage, params: Path) -> Inputs:
    """Return the inputs of a stage as they are now."""
    values = read_values(params)
    named = values if "params.yaml" in stage.params else {name: _value(values, name) for name in stage.params}
    return Inputs(named, {path: stamp for dep in stage.deps for path, stamp in _files(Path(dep))})


def difference(then: Inputs, now: Inputs) -> str | None:
    """Return the first input that has changed, in words, or None."""
    if then.params != now.params:
        return _brief("", then.params, now.params)
    for path in sorted(then.files.keys() | now.files.keys()):
        if then.files.get(path) != now.files.get(path):
            gone, new = path not in now.files, path not in then.files
            return f"{path}: {'is gone' if gone else 'is new' if new else 'has changed'}"
    return None


def _value(values: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _files(path: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[tuple[str, Stamp]]:
    """Yield the files of a folder, or the file itself; nothing where it is gone, nor twice around a loop."""
    try:
        found = path.stat()
        inside = sorted(path.iterdir()) if path.is_dir() else None
    except OSError:
        return
    here = (found.st_dev, found.st_ino)
    if inside is None:
        yield path.as_posix(), (found.st_size, found.st_mtime_ns, found.st_ino)
    elif here not in above:
        for inner in inside:
            if not any(fnmatchcase(inner.name, pattern) for pattern in IGNORED):
                yield from _files(inner, above | {here})


def _brief(key: str, then: Any, now: Any) -> str:
    """Return the first thing that differs between two values."""
    if isinstance(then, dict) and isinstance(now, dict):
        inner = next(name for name in [*then, *now] if then.get(name) != now.get(name))
        return _brief(f"{key}.{inner}".lstrip("."), then.get(inner), now.get(inner))
    return f"params.yaml: {key} was {then} and is {now}"
