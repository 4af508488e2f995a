"""A live test: each word is asked for, what the model hears is shown, and counted in the end."""

import signal
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import typer
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from kws.collect.keys import ENTER, Keys
from kws.collect.moves import uninterrupted
from kws.collect.places import Place, speaker
from kws.collect.take import BLOCK_S, is_over
from kws.common.errors import UserError
from kws.common.files import write_new
from kws.common.labels import same_folder
from kws.common.terminal import plain
from kws.common.types import Audio
from kws.detector import DetectorSpec, Event
from kws.evaluation.streams import LABELS, Spoken, relabel
from kws.params.experiments import run_with
from kws.params.sections import Augment
from kws.params.whole import Params
from kws.recordings.audio import to_int16
from kws.recordings.soundfiles import encoded
from kws.recordings.verdict import describe
from kws.runtime.kit import Kit
from kws.runtime.microphone import MUTED, Microphone
from kws.runtime.recording import decision_s
from kws.runtime.screen import NAME, QUIETEST_DBFS, Picture, bar, level_dbfs, score_row
from kws.runtime.spotter import Spotter

TIMES = 3
"""How often each word is said."""
LONGEST_S, BEFORE_S = 8.0, 1.0
"""What is waited for a word, and heard before it to know the noise."""
ROWS = 8
"""Keywords that are shown, those nearest their threshold."""


class EndedError(Exception):
    """It is enough."""


@dataclass(frozen=True)
class Session:
    """What is tried, and what is kept of it."""

    kit: Kit
    words: list[str]
    speaker: str
    save: Path | None
    seconds: float
    """how long no word is said"""


@dataclass(frozen=True)
class Attempt:
    """A word that was asked for, and what became of it."""

    label: str
    events: list[str]
    """what was heard, in order"""
    start: float
    end: float
    """of what was said, in seconds of the session"""
    level_dbfs: float
    """of its peak"""
    snr_db: float | None

    @property
    def outcome(self) -> str:
        """The first answer decides: a device would have acted on it."""
        if not self.events:
            return "missed"
        return "heard" if self.events[0] == self.label else "wrong"


@dataclass
class Outcome:
    """All that was found."""

    attempts: list[Attempt] = field(default_factory=list)
    false_accepts: list[Event] = field(default_factory=list)
    listened_s: float = 0.0
    noise_dbfs: list[float] = field(default_factory=list)
    """of the blocks while nobody was asked for a word"""
    kept: list[Path] = field(default_factory=list)


def chosen(wanted: Sequence[str], spec: DetectorSpec) -> list[str]:
    """Return keywords as the model spells them, all where none is wanted. UserError for one it has not."""
    known = {same_folder(keyword): keyword for keyword in spec.keywords}
    for label in wanted:
        if same_folder(label) not in known:
            raise UserError(f"{label}: the model knows {' '.join(spec.keywords)}; name some of these")
    return list(dict.fromkeys(known[same_folder(label)] for label in wanted)) or list(spec.keywords)


def table(outcome: Outcome, words: Sequence[str], augment: Augment) -> list[str]:
    """Return what was found as lines of text."""
    lines = [f"{'word':{NAME}}{'said':>6}{'heard':>7}{'missed':>8}{'wrong':>7}"]
    for label in words:
        own = [one for one in outcome.attempts if one.label == label]
        counts = Counter(one.outcome for one in own)
        confused = Counter(one.events[0] for one in own if one.outcome == "wrong")
        told = "  as " + " ".join(confused) if confused else ""
        row = f"{label:{NAME}}{len(own):6}{counts['heard']:7}{counts['missed']:8}{counts['wrong']:7}{told}"
        lines.append(row)
    heard = Counter(event.label for event in outcome.false_accepts)
    by = f": {' '.join(f'{label} {n}' for label, n in heard.items())}" if heard else ""
    lines.append(f"{heard.total()} false accepts in {outcome.listened_s:.0f} s without a word{by}")
    levels = [one.level_dbfs for one in outcome.attempts]
    ratios = [one.snr_db for one in outcome.attempts if one.snr_db is not None]
    lines += _beside("peak of words", levels, augment.level_dbfs, "dBFS", "come nearer, or turn it up")
    range_db = augment.snr_range or (min(augment.snr_list), max(augment.snr_list))
    lines += _beside("words above the noise", ratios, range_db, "dB", "come nearer, or find a quieter place")
    if outcome.noise_dbfs:
        lines.append(f"noise of the room {np.median(outcome.noise_dbfs):.0f} dBFS")
    return lines


def _beside(
    what: str, found: Sequence[float], trained: tuple[float, float] | None, unit: str, advice: str
) -> Iterator[str]:
    """Yield how what was found compares with the clips of training."""
    if not found:
        return
    middle = float(np.median(found))
    line = f"{what} {middle:.0f} {unit} in the middle"
    if trained is None:
        yield f"{line}; training leaves it as recorded"
        return
    low, high = trained
    line += f"; in training {low:g} to {high:g}"
    yield f"{line}: {advice}" if middle < low else line


def run_trial(session: Session, params: Params, device: str | None, channel: int | None) -> None:
    """Ask a person in a terminal, and print what was found, whatever ends it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("kws try: asks, and waits for keys; run it in a terminal, without a pipe")
    speaker("--speaker", session.speaker)
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.default_int_handler)
    trial = None
    rate = session.kit.front_end.sample_rate
    try:
        with (
            Microphone(device, rate, BLOCK_S, channel) as microphone,
            Keys() as keys,
            closing(Picture()) as picture,
        ):
            trial = Trial(session, microphone, keys, picture)
            with suppress(EndedError):
                trial.run()
    finally:
        if trial:
            for line in table(trial.outcome, session.words, params.augment):
                typer.echo(plain(line))
            trial.keep()
            if session.save and trial.outcome.kept:
                streams = _streams(session.save)
                changed = [f"data.eval={session.save}", f"data.streams={streams}"]
                typer.echo(plain(f"next:  {run_with(Path('conf'), params.labels, changed)}"))


class Trial:
    """Hears a microphone all the time, and asks for one word after the other."""

    def __init__(self, session: Session, microphone: Microphone, keys: Keys, picture: Picture) -> None:
        """Take an open microphone, a terminal that gives single keys, and what draws on it."""
        self._session, self._microphone, self._keys, self._picture = session, microphone, keys, picture
        self._spec, self._rate = session.kit.detector, microphone.rate
        self._blocks, self._spotter = microphone.blocks(), Spotter(session.kit)
        self._audio: list[Audio] = []
        self._levels: list[float] = []
        self._averages = np.zeros(len(self._spec.keywords))
        self._last: deque[Text] = deque(maxlen=5)
        self._say, self._status = "", ""
        self.outcome = Outcome()

    @property
    def _now(self) -> float:
        return len(self._audio) * BLOCK_S

    def run(self) -> None:
        """Ask for each word TIMES times, then for none. EndedError where a person ends it by q."""
        self._hear_for(BEFORE_S, "be quiet for a second")
        queue = deque(label for _ in range(TIMES) for label in self._session.words)
        total = len(queue)
        while queue:
            label = queue[0]
            done = total - len(queue) + 1
            self._say = f"say {label}   {done} of {total}"
            key = self._ask(label)
            if key == "n" and len(set(queue)) > 1:
                queue.append(queue.popleft())  # later
            elif key is None or key == ENTER:
                queue.popleft()
        begin = self._now
        while (passed := self._now - begin) < self._session.seconds:
            self._say = f"now none of the words: be quiet, or talk   {self._session.seconds - passed:.0f} s"
            _, events = self._hear()
            self.outcome.false_accepts += events
            self.outcome.listened_s = self._now - begin
            self.outcome.noise_dbfs.append(self._levels[-1])

    def _ask(self, label: str) -> str | None:
        """Wait until a word was said and answered; return the key that put it off instead, if any."""
        first, after = len(self._audio), decision_s(self._spec)
        before, events, over = self._levels[-round(BEFORE_S / BLOCK_S) :], list[Event](), False
        while (len(self._audio) - first) * BLOCK_S < LONGEST_S or (over and not events):
            key, heard = self._hear()
            events += heard
            if key in ("n", ENTER):
                return key
            over = is_over(before, self._levels[first:])
            quiet = (len(self._audio) - self._last_loud(before, first)) * BLOCK_S
            if over and quiet >= after:
                break
        if not over and not events:
            self._status = f"nothing was said; {label} is asked for again"
            return ""
        self._count(label, events, before, first)
        return None

    def _last_loud(self, before: Sequence[float], first: int) -> int:
        """Return the block after which a word is over: the last at which it was not yet."""
        levels = self._levels[first:]
        floor = float(np.quantile([*before, *levels], 0.1))
        loud = np.flatnonzero(np.array(levels) > max(floor + 12, max(levels) - 25))
        return first + int(loud[-1]) + 1 if len(loud) else first

    def _count(self, label: str, events: list[Event], before: Sequence[float], first: int) -> None:
        """Take an attempt down, and keep its recording where that is wanted."""
        start = max(0, first - len(before))
        audio = np.concatenate(self._audio[start:])
        place = Place(label, (self._session.save or Path()) / "words" / label, self._session.speaker)
        front_end = self._session.kit.front_end
        seconds = len(audio) / self._rate
        found = describe(place.next(), audio, self._rate, front_end.clip_s, seconds, self._rate, 1, audio)
        takes = found.finding.takes if found.finding else ()
        begin, end = (takes[0].start, takes[-1].stop) if takes else (0, len(audio))
        offset = start * BLOCK_S
        attempt = Attempt(
            label,
            [event.label for event in events],
            offset + begin / self._rate,
            offset + end / self._rate,
            found.peak_dbfs,
            found.snr_db,
        )
        self.outcome.attempts.append(attempt)
        style = {"heard": "bold green", "missed": "bold yellow", "wrong": "bold red"}[attempt.outcome]
        on = self._spec.on
        told = " ".join(f"{event.label} {event.score:.4f} of {on[event.label]:.4f}" for event in events)
        self._status = ""
        self._last.append(Text(f"{label:{NAME}}{attempt.outcome}   {told}", style))
        if self._session.save and not found.problem:
            wav = encoded(to_int16(audio), self._rate, "WAV")
            self.outcome.kept.append(write_new(place.names(), wav))

    def keep(self) -> None:
        """Write the whole session as a stream, with what was said in it."""
        if not (self._session.save and self.outcome.attempts):
            return
        streams = _streams(self._session.save)
        names = (streams / self._session.speaker / f"{number:03}.wav" for number in count(1))
        wav = encoded(to_int16(np.concatenate(self._audio)), self._rate, "WAV")
        spoken = [Spoken(one.label, one.start, one.end) for one in self.outcome.attempts]
        with uninterrupted():  # a stream without its labels would count each word as a false accept
            path = write_new(names, wav)
            relabel(streams / LABELS, path.relative_to(streams).as_posix(), spoken)
        self.outcome.kept.append(path)

    def _hear_for(self, seconds: float, say: str) -> None:
        self._say, until = say, self._now + seconds
        while self._now < until:
            self._hear()
            self.outcome.noise_dbfs.append(self._levels[-1])

    def _hear(self) -> tuple[str | None, list[Event]]:
        """Hear a block, draw; return the key that was pressed and what fired. EndedError for q."""
        block = next(self._blocks)
        heard = self._spotter.push(block)
        self._audio.append(block)
        self._levels.append(level_dbfs(block))
        if len(heard.averages):
            self._averages = heard.averages[-1]
        self._picture.show(self._render())
        key = self._keys.pressed()
        if key == "q":
            raise EndedError
        return key, heard.events

    def _render(self) -> Panel:
        level = self._levels[-1]
        meter = bar(1 - level / QUIETEST_DBFS, "cyan")
        rows = [Text.assemble(("level".ljust(NAME), "bold"), meter, f" {level:6.1f} dBFS"), Text()]
        scores = dict(zip(self._spec.keywords, self._averages.tolist(), strict=True))
        nearest = sorted(scores, key=lambda label: self._spec.on[label] - scores[label])[:ROWS]
        for label in sorted(nearest, key=self._spec.keywords.index):
            rows.append(score_row(label, scores[label], self._spec.on[label]))
        rows += [Text(), *self._last, *[Text()] * (5 - len(self._last)), Text()]
        note = MUTED if self._microphone.faults.muted else self._status
        keys = "n another word   Enter leave it out   q end"
        rows += [Text(plain(self._say), "bold"), Text(note, "yellow"), Text(keys, "cyan")]
        return Panel(Group(*rows), title=Text(plain(self._microphone.name)), title_align="left", width=80)


def _streams(save: Path) -> Path:
    """Return the folder beside that of single words: my/streams beside my/eval."""
    return save.parent / "streams"
