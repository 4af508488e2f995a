"""Recording words: each is asked for, heard, judged, played, and kept or recorded again."""

import signal
import sys
from collections import deque
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from rich.text import Text

from kws.collect.keys import ENTER, Keys
from kws.collect.loudspeaker import play, silence
from kws.collect.places import Place
from kws.collect.take import BLOCK_S, Take, background_take, is_over, word_take
from kws.collect.view import View
from kws.common.errors import UserError
from kws.common.files import write_new
from kws.common.terminal import plain
from kws.common.types import Audio
from kws.params.whole import Params
from kws.recordings.audio import to_int16
from kws.recordings.soundfiles import encoded
from kws.runtime.microphone import Microphone
from kws.runtime.screen import NAME, Picture, bar, level_dbfs

LEAD_S, TAIL_S = 0.2, 0.1
"""Left out after the key that starts a recording, and before the one that ends it: their clicks."""
BEFORE_S = 1.0
"""Heard before a recording, to know how quiet it is."""
LONGEST_S, BACKGROUND_S = 5.0, 30.0
ZEROS_S = 3.0
"""After so long without any noise at all a microphone is muted."""
BACKGROUND_IS = "what is heard at the place of use while nobody says a word; press Enter"
KEEP, AGAIN, PLAY, SKIP, QUIT, START, STOP = "keep", "again", "play", "skip", "quit", "record", "done"
"""What keys do, as the picture says it."""


class _QuitError(Exception):
    """It is enough."""


def record(
    places: list[Place],
    params: Params,
    device: str | None,
    into: Path | None,
    channel: int | None = None,
) -> None:
    """Record what a person says in a terminal, and tell on stderr what was kept, whatever ends it.

    `into` is the person's own folder, in which the places lie, if there is one. Raises UserError where there
    is no terminal, no microphone, or where the microphone goes away.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("kws record: asks, and waits for keys; run it in a terminal, without a pipe")
    hint = [] if into else _shipped(places)
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C: all is closed in order
    dialogue = None
    try:
        with (
            Microphone(device, None, BLOCK_S, channel) as microphone,
            Keys() as keys,
            closing(Picture()) as picture,
        ):
            dialogue = Dialogue(microphone, keys, picture, params)
            dialogue.run(places, hint)
    finally:
        if dialogue:
            typer.echo(_told(dialogue.kept, places, into), err=True)


class Dialogue:
    """Asks for one recording after the other, and keeps what the person keeps."""

    def __init__(self, microphone: Microphone, keys: Keys, picture: Picture, params: Params) -> None:
        """Take an open microphone, a terminal that gives single keys, and what draws on it."""
        self._microphone, self._keys, self._picture, self._params = microphone, keys, picture, params
        self._rate, self._blocks = microphone.rate, microphone.blocks()
        self._view = View(f"{microphone.name}, {microphone.rate} Hz, {microphone.host}")
        self._levels: deque[float] = deque(maxlen=round(BEFORE_S / BLOCK_S))
        self._block = np.zeros(0, np.float32)
        self._zeros = 0

    @property
    def kept(self) -> list[Path]:
        """The files that were written."""
        return [kept.path for kept in self._view.kept]

    def run(self, places: list[Place], hint: list[str]) -> None:
        """Ask for a recording of each place, or until q; the hint stands there until the first is made."""
        try:
            with suppress(_QuitError):
                for index, place in enumerate(places):
                    self._ask(place, f"{index + 1} of {len(places)}", [] if self.kept else hint)
        finally:
            silence()
            self._picture.show(self._view.last())

    def _ask(self, place: Place, which: str, hint: list[str]) -> None:
        """Ask for a recording of one label until one is kept, or it is skipped."""
        background = place.label == self._params.background
        self._view.say = f"{place.label}: half a minute of background" if background else f"say {place.label}"
        self._view.where = f"{which}, to {place.next()}"
        self._view.status = Text(BACKGROUND_IS if background else "press Enter, then say it")
        self._view.notes = hint
        action = self._wait({ENTER: START, "s": SKIP})
        while action in (START, AGAIN):
            audio, lost = self._record(BACKGROUND_S if background else LONGEST_S, not background)
            self._view.status, self._view.keys = Text("looking for the word" if not background else ""), ""
            self._picture.show(self._view.render())
            judge = background_take if background else word_take
            take = judge(audio, self._rate, place, self._params.features)
            if lost:
                take = replace(take, notes=["audio was lost on its way; record it again", *take.notes])
            self._view.where = f"{which}, to {place.next()}"
            self._keys.forget()  # the key that was to end the recording, when it had just ended itself
            action = self._review(place, take, aloud=not background)

    def _record(self, longest_s: float, until_quiet: bool) -> tuple[Audio, bool]:
        """Return float32 [samples], and whether some were lost."""
        self._view.notes, self._view.status, self._view.keys = [], Text(), ""
        self._microphone.skip()
        overruns, before = self._microphone.faults.overruns, [*self._levels]
        levels, blocks = list[float](), list[Audio]()
        for _ in range(round(LEAD_S / BLOCK_S)):
            self._hear()
        self._keys.forget()
        self._view.keys = f"Enter {STOP}" + ("   or a second without a sound" if until_quiet else "")
        key, n = None, round(longest_s / BLOCK_S)
        while key != ENTER and len(blocks) < n and not (until_quiet and levels and is_over(before, levels)):
            key = self._hear()
            blocks.append(self._block)
            levels.append(self._levels[-1])
            seconds = f" {len(blocks) * BLOCK_S:4.1f} s"
            self._view.status = Text.assemble(
                ("● recording".ljust(NAME), "bold red"), bar(len(blocks) / n, "red"), seconds
            )
        if key == ENTER:
            blocks = blocks[: -round(TAIL_S / BLOCK_S)] or blocks
        return np.concatenate(blocks), self._microphone.faults.overruns > overruns

    def _review(self, place: Place, take: Take, aloud: bool) -> str:
        """Say what a recording is like, play it, and keep it where that is wanted; return what was done."""
        row, view = take.row, self._view
        view.status, view.notes = take.summary(), list(take.notes)
        if aloud:
            self._play(take)
        if not take.usable:
            actions = {ENTER: AGAIN, "r": AGAIN}
        elif take.notes:
            actions = {ENTER: AGAIN, "r": AGAIN, "k": KEEP}
        else:
            actions = {ENTER: KEEP, "k": KEEP, "r": AGAIN}
        while True:
            action = self._wait({**actions, "p": PLAY, "s": SKIP})
            silence()
            if action == PLAY:
                self._play(take)
            elif action == KEEP:
                try:
                    path = write_new(place.names(), encoded(to_int16(take.audio), self._rate, "WAV"))
                except (
                    OSError
                ) as error:  # a full disk: the recording is still here, and there may be room soon
                    view.notes = [f"{error.filename}: {error.strerror}; make room and keep it again"]
                    continue
                view.kept.append(replace(row, path=path))
                return action
            else:
                return action

    def _play(self, take: Take) -> None:
        """Play what was found, or say why not."""
        audio = take.audio[take.played]
        try:
            if len(audio):
                play(audio, self._rate)
        except UserError as error:
            self._view.notes = [*take.notes, str(error)]

    def _wait(self, actions: dict[str, str]) -> str:
        """Hear and draw until a key is pressed that does something; return what. _QuitError for q."""
        shown: dict[str, str] = {}
        for name, action in {**actions, "q": QUIT}.items():
            shown.setdefault(action, "Enter" if name == ENTER else name)
        self._view.keys = "   ".join(f"{name} {action}" for action, name in shown.items())
        while True:
            key = self._hear()
            if key == "q":
                raise _QuitError
            if key in actions:
                return actions[key]

    def _hear(self) -> str | None:
        """Hear a block, draw, and return the key that was pressed meanwhile, if any."""
        self._block = next(self._blocks)
        self._levels.append(level_dbfs(self._block))
        self._zeros = 0 if self._block.any() else self._zeros + 1
        self._view.hear(self._block, muted=self._zeros * BLOCK_S >= ZEROS_S)
        self._picture.show(self._view.render())
        return self._keys.pressed()


def _shipped(places: list[Place]) -> list[str]:
    """Return what to know where recordings would lie among those that came with the project."""
    for part in (Path("data/seeds"), Path("data/voices"), Path("data/eval")):
        if places[0].folder.is_relative_to(part):
            return [f"{part} holds the shipped example; q, and `--into my`, to keep yours apart from it"]
    return []


def _told(kept: list[Path], places: list[Place], into: Path | None) -> str:
    """Return what there is now, and what is to be done next."""
    missing = [place.label for place in places if not place.taken()]
    told = f"{len(kept)} recording{'' if len(kept) == 1 else 's'} kept"
    if missing:
        told += f"; still none of {' '.join(missing)}"
    elif into:
        told += f"; `kws check {into}` looks at all of them, `kws new {into}` makes an experiment of them"
    return plain(told)
