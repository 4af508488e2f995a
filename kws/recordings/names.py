"""Which label a recording is of, by its own name or by that of its folder."""

from pathlib import Path, PurePath

from kws.common.labels import same_folder, without_take
from kws.recordings.audio import audio_files


def is_named(name: str, label: str) -> bool:
    """Say whether a file or a folder is named after a label: in any case and spelling, or as a take of it."""
    return same_folder(label) in (same_folder(name), same_folder(without_take(name)))


def of_voice(recording: PurePath, label: str) -> bool:
    """Say whether a recording of `data.voices` is of a label: `<voice>/<LABEL>.*` or `<voice>/<LABEL>/*`."""
    return any(is_named(name, label) for name in (*recording.parts[1:-1], recording.stem))


def folders_of(folder: Path, label: str) -> list[Path]:
    """Return the folders in a folder that are named after a label, sorted; none where it is absent."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in found if path.is_dir() and is_named(path.name, label))


def unmatched(voices: Path, labels: list[str]) -> list[str]:
    """Return the recordings of `data.voices` that are of none of these labels, as paths below it, sorted."""
    below = [path.relative_to(voices) for path in audio_files(voices, optional=True)]
    return [path.as_posix() for path in below if not any(of_voice(path, label) for label in labels)]


def unmatched_folders(words: Path, labels: list[str]) -> list[str]:
    """Return what lies in `words/` of `data.eval` and is named after none of these labels, sorted."""
    files = audio_files(words, optional=True) if words.is_dir() else []
    names = {path.relative_to(words).parts[0] for path in files}
    return sorted(name for name in names if not any(is_named(name, label) for label in labels))
