"""What a person sees while recording: the level, what was kept, what to do now, and what is wrong."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

import numpy as np
from rich.cells import set_cell_size
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from kws.common.terminal import plain
from kws.common.types import Audio
from kws.recordings.audio import FULL
from kws.runtime.microphone import MUTED
from kws.runtime.screen import NAME, QUIETEST_DBFS, bar, level_dbfs

KEPT, NOTES, INNER = 5, 4, 76
"""Rows of recordings and of notes, and the cells of each."""
CLIPPED_BLOCKS = 20
"""For how long the meter says that the level was too high."""


@dataclass(frozen=True)
class Kept:
    """A recording that lies in its place."""

    label: str
    path: Path
    seconds: float
    """of the word, or of the whole background"""
    peak_dbfs: float
    snr_db: float | None = None
    """how far the word is above the noise"""


@dataclass
class View:
    """All that is shown; whoever changes it has it drawn again."""

    source: str
    kept: list[Kept] = field(default_factory=list)
    say: str = ""
    """what is to be recorded"""
    where: str = ""
    """which of how many, and where it goes"""
    status: Text = field(default_factory=Text)
    notes: list[str] = field(default_factory=list)
    keys: str = ""
    _level: float = -120.0
    _muted: bool = False
    _peaks: deque[float] = field(default_factory=lambda: deque([0.0], maxlen=CLIPPED_BLOCKS))

    def hear(self, audio: Audio, muted: bool) -> None:
        """Show the level of float32 [samples], or that there has been none for long."""
        self._muted = muted
        self._level = level_dbfs(audio)
        self._peaks.append(float(np.abs(audio).max(initial=0)))

    def render(self) -> Panel:
        """Return the picture of this moment, which always has as many rows."""
        clipped = "  clipped" if max(self._peaks) >= FULL else ""
        rows = [
            Text.assemble(
                ("level".ljust(NAME), "bold"),
                bar(1 - self._level / QUIETEST_DBFS, "cyan"),
                f" {self._level:6.1f} dBFS",
                (clipped, "bold red"),
            ),
            Text(),
        ]
        table = _table(self.kept[-KEPT:])
        rows += [*table, *[Text()] * (1 + KEPT - len(table)), Text()]
        rows.append(Text.assemble((plain(self.say), "bold"), (f"   {plain(self.where)}", "bright_black")))
        rows.append(self.status)
        notes = [MUTED] if self._muted and MUTED not in self.notes else []
        lines = [f"  {line}" for note in [*notes, *self.notes] for line in wrap(plain(note), INNER - 2)]
        rows += [Text(line, "yellow") for line in lines[:NOTES]] + [Text()] * (NOTES - len(lines))
        return self._framed([*rows, Text(), Text(self.keys, "cyan")])

    def last(self) -> Panel:
        """Return what stays when all is done: the list of what was kept."""
        return self._framed(_table(self.kept) or [Text("nothing was kept", "bright_black")])

    def _framed(self, rows: list[Text]) -> Panel:
        for row in rows:
            row.truncate(INNER, overflow="ellipsis")
        return Panel(Group(*rows), title=Text(plain(self.source)), title_align="left", width=80)


def _table(kept: list[Kept]) -> list[Text]:
    heading = f"{'kept':{NAME}}{'length':>7}{'peak':>8}{'SNR':>6}   file"
    return [Text(heading, "bright_black"), *map(_row, kept)] if kept else []


def _row(kept: Kept) -> Text:
    snr = "" if kept.snr_db is None else f"{kept.snr_db:.0f}"
    numbers = f"{kept.seconds:5.2f} s{kept.peak_dbfs:8.1f}{snr:>6}   {plain(kept.path)}"
    return Text.assemble((set_cell_size(kept.label, NAME - 1) + " ", "bold"), (numbers, "green"))
