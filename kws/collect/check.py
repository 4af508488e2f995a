"""What recordings are like, and what would keep a model from being trained on them, or make it a poor one."""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from kws.collect.folders import Folders, wrong_names
from kws.common.errors import UserError
from kws.common.parallel import map_here
from kws.evaluation.streams import LABELS
from kws.recordings.audio import audio_files, is_copy, some
from kws.recordings.names import folders_of, of_voice, unmatched, unmatched_folders
from kws.recordings.soundfiles import open_sound
from kws.recordings.verdict import SHORT_S, Verdict, judge, measure

LITTLE_S = 30.0
"""Of background below which it is too little: every clip takes its own stretch of it."""
BLOCK = 4
"""Recordings that a process judges at a time."""


@dataclass(frozen=True)
class Recording:
    """A file that has a row."""

    label: str
    verdict: Verdict
    folder: Path
    """below which its name is shown"""
    trained: bool
    """whether clips are made of it; others are only heard"""

    @property
    def path(self) -> Path:
        """The file."""
        return self.verdict.path

    @property
    def name(self) -> str:
        """Its path below the folder."""
        return self.path.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class Checked:
    """What was found in folders of recordings."""

    words: list[Recording]
    """of keywords: those to be trained on, then those of the evaluation"""
    background: list[Recording]
    others: list[str]
    """what lies in other folders, a line each"""
    errors: list[str]
    """what would end a run, a line each"""
    notes: list[str]
    """what to know besides"""

    @property
    def recordings(self) -> list[Recording]:
        """All that have a row, folder by folder."""
        rows = [*self.words, *self.background]
        folders = list(dict.fromkeys(one.folder for one in rows))
        return sorted(rows, key=lambda one: (not one.trained, folders.index(one.folder)))


def check(folders: Folders, rate: int, clip_s: float) -> Checked:
    """Read and judge the recordings of `folders` at `rate` Hz, for clips of `clip_s` seconds."""
    errors = [*wrong_names(folders), *_absent(folders)] if folders.whole else []
    with warnings.catch_warnings(record=True) as warned:  # of folders; verdicts hold those of files
        warnings.simplefilter("always", UserWarning)
        words = _judged(list(_words(folders, errors)), rate, clip_s)
        background = list(_background(folders, errors))
        others = list(_others(folders, errors))
    errors += _unusable(folders, [*words, *background])
    notes = [
        *dict.fromkeys(str(warning.message) for warning in warned),
        *_unmatched(folders),
        *_unmeasured(folders),
        *_copies(words),
        *_takes(words),
        *_short(words, rate),
        *_little(folders, background),
    ]
    return Checked(words, background, others, errors, notes)


def _listed(
    folder: Path, errors: list[str], optional: bool = True, besides: tuple[str, ...] = ()
) -> list[Path]:
    """Return the audio files of a folder; what is wrong with it is added to the errors."""
    try:
        return audio_files(folder, optional, besides)
    except UserError as error:
        errors.append(str(error))
        return []


def _absent(folders: Folders) -> Iterator[str]:
    if folders.background is None:
        yield (
            f"{folders.seeds}: holds no folder FONDO with background; record half a minute of the place of"
            f" use into it, or say which folder holds it: --background {next(iter(folders.labels))}"
        )
    if not folders.keywords:
        yield f"{folders.seeds}: holds no word; put its recordings into {folders.seeds}/<WORD>/"


def _words(folders: Folders, errors: list[str]) -> Iterator[tuple[str, Path, Path, bool]]:
    """Yield label, file, folder and whether clips are made of it, of each recording of a keyword."""
    voices, heard = folders.parts.get("voices"), folders.parts.get("eval")
    spoken = _listed(voices, errors) if voices else []
    for label in folders.keywords:
        folder = folders.labels[label]
        for path in _listed(folder, errors, optional=False):
            yield label, path, folder.parent, True
        for path in spoken:
            if voices and of_voice(path.relative_to(voices), label):
                yield label, path, voices, True
    for label in folders.keywords:
        for folder in folders_of(heard / "words", label) if heard else []:
            for path in _listed(folder, errors):
                yield label, path, folder.parents[1], False


def _judged(files: list[tuple[str, Path, Path, bool]], rate: int, clip_s: float) -> list[Recording]:
    paths = [path for _, path, _, _ in files]
    with tqdm(total=len(paths), unit=" recordings", leave=False, disable=None) as bar:
        verdicts = []
        for some_ in map_here(partial(_judge_some, paths, rate, clip_s), len(paths), BLOCK):
            verdicts += some_
            bar.update(len(some_))
    return [
        Recording(label, verdict, folder, trained)
        for (label, _, folder, trained), verdict in zip(files, verdicts, strict=True)
    ]


def _judge_some(paths: list[Path], rate: int, clip_s: float, indices: range) -> list[Verdict]:
    return [judge(paths[index], rate, clip_s) for index in indices]


def _background(folders: Folders, errors: list[str]) -> Iterator[Recording]:
    if folders.background is not None:
        folder = folders.labels[folders.background]
        for path in _listed(folder, errors, optional=False):
            yield Recording(folders.background, measure(path), folder.parent, True)


def _others(folders: Folders, errors: list[str]) -> Iterator[str]:
    """Read what is no word, and yield a line for each folder of it."""
    parts = {
        name: folder for name, folder in folders.parts.items() if name in ("negatives", "rirs", "streams")
    }
    if heard := folders.parts.get("eval"):
        kinds = ("near_misses", "talk", "backgrounds")
        parts |= {kind: heard / kind for kind in kinds if (heard / kind).is_dir()}
    for name, folder in parts.items():
        seconds, paths = 0.0, _listed(folder, errors, besides=(LABELS,))
        for path in paths:
            try:
                if name == "streams":  # hours, which are read when they are heard
                    with open_sound(path) as file:
                        seconds += file.frames / file.samplerate
                else:
                    verdict = measure(path)
                    seconds += verdict.seconds
                    errors += [verdict.problem] if verdict.problem else []
            except UserError as error:
                errors.append(str(error))
        if paths:
            yield f"{folder}: {len(paths)} files, {seconds / 60:.1f} min"


def _unusable(folders: Folders, recordings: list[Recording]) -> Iterator[str]:
    """Yield what ends a run: files that cannot be read, and labels of which nothing can be used."""
    trained = [one for one in recordings if one.trained]
    broken = [one for one in recordings if one.verdict.problem and not one.verdict.seconds]
    yield from (one.verdict.problem for one in broken if one.verdict.problem)
    usable = {one.label for one in trained if not one.verdict.problem}
    for label in dict.fromkeys(one.label for one in trained):
        if label not in usable and not any(one.label == label for one in broken):
            yield f"{folders.labels[label]}: none of its recordings can be used; record {label} again"


def _unmatched(folders: Folders) -> Iterator[str]:
    """Yield a line on files of voices, and one on folders of the evaluation, that belong to no label."""
    labels = list(folders.labels)
    with suppress(UserError), warnings.catch_warnings(action="ignore"):  # both are told where they are read
        if (voices := folders.parts.get("voices")) and (files := unmatched(voices, labels)):
            yield f"{voices}: no label is called as {some(files)}; not used"
        if (heard := folders.parts.get("eval")) and (names := unmatched_folders(heard / "words", labels)):
            yield f"{heard / 'words'}: no label is called {some(names)}; not used"


def _copies(words: list[Recording]) -> Iterator[str]:
    """Yield a line for each recording that is another one again."""
    first: defaultdict[int, list[Recording]] = defaultdict(list)
    for one in words:
        audio = one.verdict.audio
        if audio is None:
            continue
        same = first[len(audio)]
        other = next(
            (o for o in same if o.verdict.audio is not None and is_copy(o.verdict.audio, audio)), None
        )
        if other is None:
            same.append(one)
        elif other.label != one.label:
            yield f"{one.path}: is the same recording as {other.path} of another label; remove one"
        elif other.trained != one.trained:
            yield f"{one.path}: is trained on ({other.path}), so that it is heard says nothing; remove it"
        else:
            yield f"{one.path}: is the same recording as {other.path}; it is used once"


def _unmeasured(folders: Folders) -> Iterator[str]:
    """Yield a line where an evaluation set lacks what thresholds are chosen by."""
    if (heard := folders.parts.get("eval")) is None:
        return
    absent = [name for name in ("talk", "backgrounds") if not (heard / name).is_dir()]
    if absent:
        theirs = " ".join(f"data/eval/{name}" for name in absent)
        yield (
            f"{heard}: holds no {' and no '.join(absent)}, by which thresholds are chosen; until there are"
            f" some of your own: cp -r {theirs} {heard}/"
        )


def _takes(words: list[Recording]) -> Iterator[str]:
    """Yield a line on recordings in which the word is said more than once."""
    found = [f"{one.name} ({len(one.verdict.words)})" for one in words if len(one.verdict.words) > 1]
    if found:
        yield f"several takes in one recording: {some(found)}; each of them is used"


def _short(words: list[Recording], rate: int) -> Iterator[str]:
    """Yield a line on words that are short."""
    found = []
    for one in (one for one in words if one.trained and one.verdict.words):
        seconds = max(word.stop - word.start for word in one.verdict.words) / rate
        if seconds < SHORT_S:
            found.append(f"{one.name} ({seconds:.2f} s)")
    if found:
        yield (
            f"words below {SHORT_S:g} s: {some(found)}; they are easily heard in other words; longer"
            " commands are better. Listen whether each is all there"
        )


def _little(folders: Folders, background: list[Recording]) -> Iterator[str]:
    """Yield a line where the background is too little."""
    usable = [one.verdict for one in background if not one.verdict.problem]
    seconds = sum(verdict.seconds for verdict in usable)
    if usable and folders.background and (seconds < LITTLE_S or len(usable) < 2):
        files = "1 file" if len(usable) == 1 else f"{len(usable)} files"
        yield (
            f"{folders.labels[folders.background]}: {seconds:.0f} s of background in {files}; minutes are"
            " better, in two files at least: one of them is kept for validation"
        )
