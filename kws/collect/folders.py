"""Where recordings lie: in the folders of params.yaml, or in one folder that somebody gathered them in."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from kws.common.errors import UserError
from kws.common.labels import better_name, same_folder, wrong_name
from kws.params.whole import Params
from kws.recordings.audio import LITTER, SUFFIXES, audio_files

PARTS = ("voices", "negatives", "rirs", "eval", "streams")
"""Subfolders of a folder of recordings that are no labels: what they are called in `data` of params.yaml."""
SEEDS = "seeds"
BACKGROUND = "FONDO"
"""The background's folder where no other is named, in capitals or not."""


@dataclass(frozen=True)
class Folders:
    """Folders of recordings, by what they hold."""

    seeds: Path
    labels: dict[str, Path]
    """folder of each label, that of the background among them"""
    background: str | None
    """None where none was found"""
    parts: dict[str, Path] = field(default_factory=dict)
    """those of PARTS that there are"""
    whole: bool = True
    """whether a model can be made of them, or they are the recordings of one word"""

    @property
    def keywords(self) -> list[str]:
        """The labels that are not background."""
        return [label for label in self.labels if label != self.background]


def of_params(params: Params) -> Folders:
    """Return the folders that the pipeline reads."""
    data = params.data
    labels = {label: Path(data.seeds) / label for label in params.labels}
    parts = {name: Path(getattr(data, name)) for name in PARTS}
    return Folders(Path(data.seeds), labels, params.background, parts)


def find_folders(folder: Path, background: str | None = None) -> Folders:
    """Return what `<folder>/seeds/<LABEL>/*` or `<folder>/<LABEL>/*` holds, and the parts beside it.

    A folder that holds recordings and no folder is that of one word.
    Labels are in Unicode NFC, sorted. The background is `background`, or a folder called FONDO. Raises
    UserError where there is no such folder, no folder in it, or a recording or a broken link beside these.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {what}; name a folder that holds <LABEL>/*.wav or seeds/<LABEL>/*.wav")
    parts = {name: folder / name for name in PARTS if (folder / name).is_dir()}
    seeds = folder / SEEDS if (folder / SEEDS).is_dir() else folder
    found = sorted(path for path in seeds.iterdir() if path.is_dir() and _counts(path, seeds == folder))
    if not found and seeds == folder and audio_files(folder, optional=True):
        return Folders(folder.parent, {normalize("NFC", folder.name): folder}, None, whole=False)
    if not found:
        raise UserError(f"{seeds}: holds no folder of recordings; put those of a word into {seeds}/<WORD>/")
    for path in sorted(seeds.iterdir()):
        if path.is_symlink() and not path.exists():
            raise UserError(f"{path}: is a link to nothing; mend or remove it")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not LITTER.fullmatch(path.name):
            raise UserError(f"{path}: lies beside the folders of words; put it into one, as {path.stem}/")
    labels: dict[str, Path] = {}
    for path in found:
        if (other := labels.setdefault(normalize("NFC", path.name), path)) is not path:
            raise UserError(f"{path}: spells {other.name} in another Unicode form; join the two folders")
    wanted = same_folder(background or BACKGROUND)
    name = next((label for label in labels if same_folder(label) == wanted), None)
    if background and name is None:
        raise UserError(f"--background {background}: no such folder in {seeds}; it holds {' '.join(labels)}")
    return Folders(seeds, labels, name, parts)


def wrong_names(folders: Folders) -> list[str]:
    """Return a line for each folder that cannot be a label under its name, with the command that renames it.

    DVC looks for `<seeds>/<LABEL>`, letter by letter: a label is what its folder is called.
    """
    found = []
    first: dict[str, Path] = {}
    for label, path in folders.labels.items():
        wrong = wrong_name(label)
        other = first.setdefault(same_folder(label), path)
        if wrong is not None:
            found.append(f"{path}: {wrong.split('; write ')[0]}{_rename(path, better_name(label))}")
        elif other is not path:
            found.append(f"{path}: is the same folder as {other} on Windows and macOS; join them")
        elif not (path.parent / label).exists():
            why = "its accents stand apart from their letters (Unicode NFD)"
            found.append(f"{path}: {why}{_rename(path, label)}")
    return found


def _rename(path: Path, name: str | None) -> str:
    if name is None:
        return "; rename it"
    return f"; rename it: mv {shlex.quote(str(path))} {shlex.quote(str(path.with_name(name)))}"


def _counts(path: Path, beside_parts: bool) -> bool:
    """Say whether a folder may be that of a label."""
    return not LITTER.fullmatch(path.name) and not (beside_parts and path.name in PARTS)
