"""What a person sees while listening: the level, a bar a keyword, the last events, and what went wrong."""

import os
import threading
from collections import Counter, deque

import numpy as np
from rich.cells import set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from kws.common.terminal import plain
from kws.common.types import Audio
from kws.detector import DetectorSpec, Event, log_odds
from kws.runtime.microphone import MUTED, Faults
from kws.runtime.recorder import near
from kws.runtime.sinks import as_line
from kws.runtime.spotter import Heard

NAME, WIDTH, EVENTS = 14, 36, 6
QUIETEST_DBFS = -60.0
LOWEST, HIGHEST = -8.0, 12.0
"""Log-odds at the ends of a keyword's bar: they tell probabilities near 1 apart, where thresholds lie."""


def level_dbfs(audio: Audio) -> float:
    """Return the RMS of float32 [samples] in dB below full scale, -120 at least."""
    power = float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
    return float(10 * np.log10(power + 1e-12))


def bar(share: float, style: str, mark: float | None = None) -> Text:
    """Return a bar of WIDTH cells, a share of it filled, with a mark at another share."""
    filled = round(min(max(share, 0.0), 1.0) * WIDTH)
    text = Text("━" * filled, style) + Text("─" * (WIDTH - filled), "bright_black")
    if mark is not None and mark <= 1:
        at = min(round(mark * WIDTH), WIDTH - 1)
        text = text[:at] + Text("┃", "white") + text[at + 1 :]
    return text


def score_row(keyword: str, score: float, on: float) -> Text:
    """Return a keyword's line: its score and its threshold, as a bar of log-odds and as probabilities."""
    style = "bold green" if score >= on else "yellow" if score >= near(on) else "blue"
    name = set_cell_size(plain(keyword), NAME - 1) + " "
    told = f"{on:.4f}" if on <= 1 else "never"
    return Text.assemble((name, "bold"), bar(_place(score), style, _place(on)), f" {score:.4f} of {told}")


def _place(probability: float) -> float:
    """Return where a probability lies in the bar; above 1 for a threshold that nothing reaches."""
    if not 0 < probability < 1:
        return probability
    return (log_odds(probability) - LOWEST) / (HIGHEST - LOWEST)


class Picture:
    """The lower end of a terminal, drawn anew in its place."""

    def __init__(self, console: Console | None = None) -> None:
        """Take over the terminal, or a given console, until `close`."""
        self._live = Live(console=console, auto_refresh=False)
        self._others = _Others(self._live.console) if console is None and os.isatty(2) else None
        self._live.start()

    def show(self, picture: RenderableType) -> None:
        """Draw this where the last one was."""
        self._live.update(picture, refresh=True)

    def close(self) -> None:
        """Leave the last picture standing."""
        if self._others:
            self._others.close()
        self._live.stop()


class Screen:
    """A terminal that shows a stream as it is heard."""

    def __init__(
        self, source: str, spec: DetectorSpec, rate: int, faults: Faults, console: Console | None = None
    ) -> None:
        """Take over the terminal, or a given console, until `close`."""
        self._source, self._spec, self._rate, self._faults = source, spec, rate, faults
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._counts: Counter[str] = Counter()
        self._averages = np.zeros(len(spec.keywords))
        self._level, self._samples, self._windows = -120.0, 0, 0
        self._picture = Picture(console)

    def push(self, audio: Audio, heard: Heard) -> None:
        """Show a block and what was heard in it."""
        self._level, self._samples = level_dbfs(audio), self._samples + len(audio)
        self._windows += len(heard.averages)
        self._events.extend(heard.events)
        self._counts.update(event.label for event in heard.events)
        if len(heard.averages):
            self._averages = heard.averages[-1]
        self._picture.show(self.render())

    def close(self) -> None:
        """Leave the last picture standing."""
        self._picture.close()

    def render(self) -> Panel:
        """Return the picture of this moment."""
        level = bar(1 - self._level / QUIETEST_DBFS, "cyan")
        rows = [Text.assemble(("level".ljust(NAME), "bold"), level, f" {self._level:6.1f} dBFS"), Text()]
        for keyword, average in zip(self._spec.keywords, self._averages, strict=True):
            count = f"{self._counts[keyword]:5} x" if self._counts[keyword] else ""
            row = score_row(keyword, float(average), self._spec.on[keyword])
            rows.append(Text.assemble(row, (count, "green")))
        rows.append(Text())
        rows += [Text(as_line(event), "bold green") for event in self._events]
        rows += [Text()] * (EVENTS - len(self._events))
        rows.append(
            Text(f"{self._samples / self._rate:.1f} s heard in {self._windows} windows", "bright_black")
        )
        faults = f"   {self._faults.overruns} overruns   {self._faults.invalid} invalid samples"
        rows[-1].append(faults, "bold red" if self._faults != Faults() else "bright_black")
        if self._faults.muted:
            rows[-1] = Text(MUTED, "bold yellow")
        return Panel(Group(*rows), title=Text(plain(self._source)), title_align="left", width=80)


class _Others:
    """Takes what C libraries and other programs write to stderr, and shows it above the picture.

    They write to the file descriptor and know of no picture. The cursor would no longer be where the next one
    is to be drawn, and the old one would stay: PortAudio does so when a microphone goes away.
    """

    def __init__(self, console: Console) -> None:
        """Take stderr over, until `close`."""
        self._console, self._stderr = console, os.dup(2)
        self._read, write = os.pipe()
        os.dup2(write, 2)
        os.close(write)
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    def _show(self) -> None:
        with os.fdopen(self._read, errors="replace") as lines:
            for line in lines:
                self._console.print(Text(plain(line.rstrip("\n"))))

    def close(self) -> None:
        """Give stderr back; what was written is shown, but for what a program that lives on may write."""
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        self._thread.join(0.5)
