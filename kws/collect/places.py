"""Where recordings go, by the layouts of `data.seeds`, `data.voices` and `data.eval`."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from unicodedata import normalize

from kws.common.errors import UserError
from kws.common.foreign import check_labels
from kws.common.labels import same_folder, wrong_name
from kws.params.sections import Data
from kws.params.whole import Params
from kws.recordings.audio import SUFFIXES
from kws.recordings.names import is_named

EMPTY = Path("data/none")
"""What stands for no folder in params.yaml."""


@dataclass(frozen=True)
class Place:
    """Where the recordings of a label go: `<folder>/001.wav`, `002.wav`, or `<stem>.wav`, `<stem>_2.wav`."""

    label: str
    folder: Path
    stem: str | None = None

    def names(self) -> Iterator[Path]:
        """Yield the names that a take can have, in order and without end."""
        for number in count(1):
            if self.stem is None:
                name = f"{number:03}"
            else:
                name = self.stem if number == 1 else f"{self.stem}_{number}"
            yield self.folder / f"{name}.wav"

    def next(self) -> Path:
        """Return the name that the next take will have."""
        return next(path for path in self.names() if not os.path.lexists(path))

    def taken(self) -> bool:
        """Say whether there is a recording already, whatever its format, its number and its spelling."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("[!.]*"))
        return any(
            self.stem is None or any(is_named(name, self.stem) for name in (*path.parts[:-1], path.stem))
            for path in found
            if path.suffix.lower() in SUFFIXES
        )


def choose(
    wanted: list[str], params: Params, into: Path | None, voice: str | None, unseen: str | None
) -> list[Place]:
    """Return where to record what, the background last.

    What is wanted are labels by name, and the background where there is none of it; or all labels without a
    recording, or just all. They go to `data.seeds`, those of a `voice` to `data.voices`, those of an
    `unseen` one to `data.eval`, both without background; or to seeds, voices and eval in the folder `into`.
    Raises UserError for names that cannot be, and where there is no folder to write to.
    """
    if voice is not None and unseen is not None:
        raise UserError("--voice and --eval: what is trained on cannot measure; name one of them")
    named = _spelt(wanted, params)
    spoken = [label for label in named or params.labels if label != params.background]
    if voice is not None:
        folder = _folder("voices", params.data, into) / speaker("--voice", voice)
        keywords = [Place(label, folder, label) for label in spoken]
    elif unseen is not None:
        folder = _folder("eval", params.data, into) / "words"
        keywords = [Place(label, _below(folder, label), speaker("--eval", unseen)) for label in spoken]
    else:
        folder = _folder("seeds", params.data, into)
        keywords = [Place(label, _below(folder, label)) for label in spoken]
        background = Place(params.background, _below(folder, params.background))
        if not named:
            every = [*keywords, background]
            return [place for place in every if not place.taken()] or every
        if background.label in named or not background.taken():
            keywords.append(background)
        return keywords
    if params.background in named:
        raise UserError(f"{params.background}: is no word of anybody's; leave it out, or --voice and --eval")
    return keywords if named else [place for place in keywords if not place.taken()] or keywords


def _spelt(wanted: list[str], params: Params) -> list[str]:
    """Return labels as params.yaml spells them, where it has them."""
    known = {same_folder(label): label for label in params.labels}
    composed = [normalize("NFC", label) for label in wanted]
    labels = [known.get(same_folder(label), label) for label in composed]
    try:
        check_labels(labels)
    except ValueError as error:
        raise UserError(str(error)) from error
    if len(set(map(same_folder, labels))) < len(labels):
        raise UserError(f"{' '.join(labels)}: two of these are one folder on Windows and macOS; rename one")
    return labels


def _below(folder: Path, label: str) -> Path:
    """Return the folder of a label: where there is one in another spelling, that one."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    same = [path for path in found if path.is_dir() and same_folder(path.name) == same_folder(label)]
    return same[0] if same and folder / label not in same else folder / label


def speaker(option: str, name: str) -> str:
    """Return who speaks, as files are called after them. UserError, naming the option, for what cannot be."""
    composed = normalize("NFC", name)
    if wrong := wrong_name(composed, "a name"):
        raise UserError(f"{option} {composed[:60]!r}: {wrong}")
    if take := re.fullmatch(r"(.*?)([_-]\d+)+", composed):
        raise UserError(f"{option} {composed}: ends as takes are numbered; write {take[1]}")
    return composed


def _folder(kind: str, data: Data, into: Path | None) -> Path:
    """Return `<into>/<kind>` or the folder that params.yaml has for it."""
    if into is not None:
        return into / kind
    folder = Path(getattr(data, kind))
    if folder == EMPTY:
        raise UserError(
            f"data.{kind}: is {folder}, which stays empty; say --into my to write to my/{kind}, or set it"
        )
    return folder
