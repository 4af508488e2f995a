"""Whose recording is this: what one voice says stands or falls together."""

from pathlib import Path, PurePath

from kws.common.labels import without_take
from kws.recordings.audio import audio_files
from kws.recordings.names import folders_of


def voice_of(recording: PurePath) -> str:
    """Return the voice of `<voice>/*`, `<voice>.*`, or a take of it, such as `<voice>_2.*` or `<voice>-2.*`.

    `recording` is the path below the folder that voices lie in, as `words/<LABEL>`, `near_misses` or `talk`.
    """
    return recording.parts[0] if len(recording.parts) > 1 else without_take(recording.stem)


def by_voice(folder: Path) -> list[tuple[str, Path]]:
    """Return the recordings under a folder, sorted, each with its voice; none where it is absent or empty."""
    files = audio_files(folder, optional=True) if folder.is_dir() else []
    return [(voice_of(path.relative_to(folder)), path) for path in files]


def words_by_voice(folder: Path, label: str) -> list[tuple[str, Path]]:
    """Return the recordings in all of a folder's folders that are named after a label, as `by_voice` does."""
    return [found for one in folders_of(folder, label) for found in by_voice(one)]
