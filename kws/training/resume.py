"""The file from which a killed training goes on: named by all that training reads."""

import sys
import warnings
from collections.abc import Iterable
from hashlib import blake2b, file_digest
from importlib.metadata import version
from pathlib import Path

import torch


def fingerprint(files: Iterable[Path], *values: object) -> str:
    """Return a hash of the content of `files`, of `values` as they print, and of the libraries' versions.

    Content and not time: DVC writes unchanged files anew when it checks them out. Hashing 300,000 clips takes
    seconds, training on them hours.
    """
    parts = [repr((torch.__version__, version("lightning"), *values)).encode()]
    for path in files:
        with path.open("rb") as file:
            parts.append(file_digest(file, blake2b).digest())
    return blake2b(b"".join(parts), digest_size=16).hexdigest()


def code(*packages: str) -> list[Path]:
    """Return the files of all modules of these packages that are loaded, and of the program itself."""
    own = ("__main__", *packages)
    loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in own}
    files = (getattr(loaded[name], "__file__", None) for name in sorted(loaded))
    return [Path(file) for file in files if file]


def readable(path: Path) -> Path | None:
    """Return `path` where training can go on from it; a spoiled file is removed with a warning."""
    if not path.exists():
        return None
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch.load raises whatever the bytes lead it to
        warnings.warn(f"{path}: cannot be read; training starts from the beginning", stacklevel=2)
        path.unlink(missing_ok=True)
        return None
    return path
