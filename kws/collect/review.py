"""What `kws listen --save-events` kept, sorted by a person into what is trained on or measured by."""

import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

import typer
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from kws.collect.keys import Keys
from kws.collect.loudspeaker import play, silence
from kws.collect.moves import Move, move, move_stream
from kws.collect.places import EMPTY, Place, speaker
from kws.collect.spectrogram import spectrogram
from kws.common.errors import UserError
from kws.common.terminal import plain
from kws.common.types import Audio
from kws.evaluation.streams import Spoken
from kws.params.experiments import run_with
from kws.params.sections import Data
from kws.params.whole import Params
from kws.recordings.audio import audio_files, read_audio
from kws.runtime.recorder import AFTER_S, BEFORE_S, KINDS
from kws.runtime.screen import Picture

KEPT_AS = {"events": "heard as", "near_misses": "nearly heard as"}
RIGHT, NOT_A_WORD, OTHER, SKIP, UNDO, PLAY, QUIT = (
    "right",
    "not a word",
    "another word",
    "skip",
    "undo",
    "play",
    "quit",
)
ACTIONS = {"r": RIGHT, "n": NOT_A_WORD, "a": OTHER, "s": SKIP, "u": UNDO, "p": PLAY, "q": QUIT}
"""What keys do; Enter is no answer, so that none is given by mistake."""
NAMES = "123456789bcdefghijklmnopqrstvwxyz"
"""Keys that name another word: neither a, which asked for it, nor u, which takes that back."""
COLUMNS, ROWS, INNER, WAIT_S = 76, 12, 76, 0.03


@dataclass(frozen=True)
class Clip:
    """A file to be judged."""

    path: Path
    kind: str
    label: str


@dataclass(frozen=True)
class Folders:
    """Where clips go: to what is trained on, or else to streams that are measured by."""

    who: str
    voices: Path
    negatives: Path
    streams: Path
    measure: bool


def find_clips(folder: Path) -> list[Clip]:
    """Return what `Recorder` wrote into a folder, events first. UserError where it holds no such folders."""
    if not any((folder / kind).is_dir() for kind in KINDS):
        raise UserError(
            f"{folder}: holds neither {KINDS[0]}/ nor {KINDS[1]}/;"
            " name the folder of `kws listen --save-events`"
        )
    return [
        Clip(path, kind, path.relative_to(folder / kind).parts[0])
        for kind in KINDS
        if (folder / kind).is_dir()
        for path in audio_files(folder / kind, optional=True)
        if len(path.relative_to(folder / kind).parts) == 2
    ]


def folders_for(data: Data, into: Path, who: str, measure: bool) -> Folders:
    """Return the folders that params.yaml names; in `into` where it names none."""

    def one(kind: str) -> Path:
        named = Path(getattr(data, kind))
        return into / kind if named == EMPTY else named

    name = speaker("--speaker", who)
    return Folders(name, one("voices"), one("negatives"), one("streams"), measure)


def sort(clip: Clip, label: str | None, folders: Folders, seconds: float) -> Move:
    """Move a clip to where it belongs: a word of this label, or none. Its length is in seconds."""
    if folders.measure:
        place = Place(clip.label, folders.streams / folders.who, f"{clip.path.stem}_{label or 'none'}")
        start, end = min(BEFORE_S, seconds / 4), max(seconds - AFTER_S, seconds / 2)
        return move_stream(clip.path, folders.streams, place, Spoken(label, start, end) if label else None)
    if label:
        return move(clip.path, Place(label, folders.voices / folders.who, label))
    stem = f"{clip.label}_{clip.path.stem}"
    return move(clip.path, Place(clip.label, folders.negatives / folders.who, stem))


def skip(clip: Clip, folder: Path) -> Move:
    """Move a clip aside, into a folder that can be reviewed as this one is."""
    return move(clip.path, Place(clip.label, folder / "skipped" / clip.kind / clip.label, clip.path.stem))


def next_command(params: Params, folders: Folders, counts: Counter[str]) -> str:
    """Return the one command that makes use of what was sorted."""
    used = {"voices": counts[RIGHT] + counts[OTHER], "negatives": counts[NOT_A_WORD]}
    if folders.measure:
        used = {"streams": sum(used.values())}
    changed = [
        f"data.{kind}={getattr(folders, kind)}"
        for kind, count in used.items()
        if count and Path(getattr(params.data, kind)) != getattr(folders, kind)
    ]
    return run_with(Path("conf"), params.labels, changed) if changed else "dvc repro"


def review(folder: Path, params: Params, folders: Folders) -> None:
    """Ask a person in a terminal what each clip of a folder is, and tell on stderr what became of them."""
    clips = find_clips(folder)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("kws review: asks, and waits for keys; run it in a terminal, without a pipe")
    if not clips:
        typer.echo(f"{plain(folder)}: nothing is left to be reviewed", err=True)
        return
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.default_int_handler)
    dialogue = None
    try:
        with Keys() as keys, closing(Picture()) as picture:
            dialogue = Dialogue(folder, params, folders, keys, picture)
            dialogue.run(clips)
    finally:
        if dialogue:
            for line in dialogue.told(len(find_clips(folder))):
                typer.echo(plain(line), err=True)


@dataclass
class Dialogue:
    """Shows one clip after the other, plays it, and moves it to where a key says."""

    folder: Path
    params: Params
    folders: Folders
    keys: Keys
    picture: Picture
    _done: list[tuple[str, Move]] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)

    def run(self, clips: Sequence[Clip]) -> None:
        """Ask about every clip, or until q."""
        index = 0
        try:
            while index < len(clips):
                action = self._ask(clips[index], f"{index + 1} of {len(clips)}")
                if action == QUIT:
                    return
                index = max(0, index + (-1 if action == UNDO else 1))
        finally:
            self._silence()

    def told(self, left: int) -> list[str]:
        """Return what was done and what comes next."""
        counts = Counter(action for action, _ in self._done)
        words, negatives = counts[RIGHT] + counts[OTHER], counts[NOT_A_WORD]
        told = [f"{words} words, {negatives} of no word, {counts[SKIP]} skipped; {left} left"]
        if counts[SKIP]:
            told.append(f"what was skipped: kws review {self.folder / 'skipped'}")
        if words + negatives:
            told.append(f"next:  {next_command(self.params, self.folders, counts)}")
            told.append("then `kws try`, or reports/index.html, shows whether it is better")
        return told

    def _ask(self, clip: Clip, which: str) -> str:
        """Ask about one clip until it is moved or left; return what was done."""
        rate = self.params.features.sample_rate
        try:
            audio = read_audio(clip.path, rate)
        except UserError as error:
            audio, self._notes = None, [str(error)]
        drawn = [] if audio is None else spectrogram(audio, self.params.features, COLUMNS, ROWS)
        head = Text.assemble(
            (f"{which}   {KEPT_AS[clip.kind]} ", "bright_black"), (plain(clip.label), "bold green")
        )
        head.append(f"   {plain(clip.path.name)}", "bright_black")
        self._play(audio, rate)
        while True:
            keys = "   ".join(
                f"{key} {action}" for key, action in ACTIONS.items() if self._can(action, clip, audio)
            )
            self._show(head, drawn, keys)
            action = ACTIONS.get(self._key(), "")
            if not action or not self._can(action, clip, audio):
                continue
            self._notes = []
            if action == QUIT:
                return action
            if action == PLAY:
                self._play(audio, rate)
                continue
            self._silence()
            label = clip.label if action == RIGHT else None
            if action == OTHER and not (label := self._other(head, drawn, clip)):
                continue
            try:
                if action == UNDO:
                    self._done[-1][1].undo()
                    self._done.pop()
                elif action == SKIP:
                    self._done.append((action, skip(clip, self.folder)))
                elif audio is not None:
                    moved = sort(clip, label, self.folders, len(audio) / rate)
                    self._done.append((action, moved))
                    self._notes = [f"{moved.target}"]
            except OSError as error:  # a full disk: the clip is where it was
                self._notes = [f"{error.filename}: {error.strerror}; make room, and press the key again"]
                continue
            return action

    def _can(self, action: str, clip: Clip, audio: Audio | None) -> bool:
        if action in (RIGHT, NOT_A_WORD, OTHER) and audio is None:
            return False  # what cannot be read would end the next training
        return (action != UNDO or bool(self._done)) and (action != RIGHT or clip.label in self.params.labels)

    def _other(self, head: Text, drawn: list[Text], clip: Clip) -> str | None:
        """Return the label that a key names, or None where the question was a mistake."""
        others = [one for one in self.params.labels if one not in (clip.label, self.params.background)]
        names = dict(zip(NAMES, others, strict=False))
        keys = "   ".join(f"{key} {label}" for key, label in names.items())
        self._show(head, drawn, f"which?   {keys}   u back")
        while (key := self._key()) not in names:
            if key == "u":
                return None
        return names[key]

    def _show(self, head: Text, drawn: list[Text], keys: str) -> None:
        notes = [line for note in self._notes for line in wrap(plain(note), INNER)][:2]
        rows = [head, *(drawn or [Text()] * ROWS)]
        rows += [Text(line, "yellow") for line in notes] + [Text()] * (2 - len(notes))
        for row in rows:
            row.truncate(INNER, overflow="ellipsis")
        rows += [Text(line, "cyan") for line in wrap(keys, INNER)]
        title = Text(plain(self.folder))
        self.picture.show(Panel(Group(*rows), title=title, title_align="left", width=80))

    def _key(self) -> str:
        while (key := self.keys.pressed()) is None:
            time.sleep(WAIT_S)
        return key

    def _play(self, audio: Audio | None, rate: int) -> None:
        try:
            if audio is not None and len(audio):
                play(audio, rate)
        except UserError as error:
            self._notes = [*self._notes, str(error)]

    def _silence(self) -> None:
        try:
            silence()
        except UserError:  # there is no PortAudio, which was said when the clip was to be played
            return
