"""Whose recording is this: what one voice says stands or falls together."""

import re
from pathlib import Path, PurePath

from kws.recordings.audio import audio_files


def voice_of(recording: PurePath) -> str:
    """Return the voice of `<voice>/*`, `<voice>.*`, or of a take of it, `<voice>_<n>.*` or `<voice>-<n>.*`.

    `recording` is the path below the folder that voices lie in, as `words/<LABEL>`, `near_misses` or `talk`.
    """
    return recording.parts[0] if len(recording.parts) > 1 else re.sub(r"[_-]\d+$", "", recording.stem)


def by_voice(folder: Path) -> list[tuple[str, Path]]:
    """Return the recordings under a folder, sorted, each with its voice; none where it is absent or empty."""
    files = audio_files(folder, optional=True) if folder.is_dir() else []
    return [(voice_of(path.relative_to(folder)), path) for path in files]
