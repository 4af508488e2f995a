"""Recordings as text for a terminal: a row a file, what is wrong with it below, and what it comes to."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from math import isnan

from rich.cells import cell_len, set_cell_size

from kws.collect.check import Checked, Recording
from kws.common.terminal import plain
from kws.recordings.verdict import State

COLUMNS = ("length", "kHz", "ch", "peak", "noise", "SNR", "clipped", "word at")
WIDTHS = (7, 5, 2, 5, 5, 4, 7, 11)
VERDICT = len("unusable")
NAME = 12
"""Characters of a name that are shown however narrow the terminal is."""


def lines(checked: Checked, rate: int, width: int) -> Iterator[tuple[str, State]]:
    """Yield the table's lines, `width` characters at most, each with the verdict that it is about.

    `rate` is that at which the words were found, in Hz.
    """
    rows = checked.recordings
    longest = max((cell_len(plain(one.name)) for one in rows), default=NAME)
    gap = " " if width < sum(WIDTHS) + VERDICT + 2 * (len(WIDTHS) + 1) + longest else "  "
    left = width - sum(WIDTHS) - VERDICT - len(gap) * (len(WIDTHS) + 1)
    name_width = max(NAME, min(longest, left))
    heading = gap.join(f"{name:>{n}}" for name, n in zip(COLUMNS, WIDTHS, strict=True))
    for folder, group in groupby(rows, lambda one: one.folder):
        yield f"{_fitted(plain(folder), name_width)}{gap}{heading}{gap}verdict", "ok"
        for one in group:
            yield f"{_fitted(plain(one.name), name_width)}{gap}{_cells(one, rate, gap)}", one.verdict.state
            for reason in one.verdict.reasons:
                for line in _wrapped(reason, width, "    "):
                    yield line, one.verdict.state


def told(checked: Checked, width: int) -> Iterator[tuple[str, State]]:
    """Yield what is to be said below the table; notes and errors take a line each, however long."""
    for line in checked.others:
        yield from ((part, "ok") for part in _wrapped(line, width, ""))
    for line in checked.notes:
        yield plain(f"note: {line}"), "doubtful"  # in one line: it may hold a command to be copied
    for line in checked.errors:
        yield plain(f"error: {line}"), "unusable"


def summary(checked: Checked) -> str:
    """Return what there is to train on, in a line."""
    words = [one for one in checked.words if one.trained]
    usable = sum(not one.verdict.problem for one in words)
    doubtful = sum(one.verdict.state == "doubtful" for one in words)
    labels = len({one.label for one in words})
    minutes = sum(one.verdict.seconds for one in checked.background if not one.verdict.problem) / 60
    return (
        f"{usable} of {len(words)} recordings of {labels} words can be used, {doubtful} of them are doubtful;"
        f" {minutes:.1f} min of background"
    )


def _cells(one: Recording, rate: int, gap: str) -> str:
    verdict = one.verdict
    if not verdict.seconds:  # it could not be read
        return " " * (sum(WIDTHS) + len(gap) * (len(WIDTHS) - 1)) + gap + verdict.state
    noise = snr = word = ""
    if verdict.finding:
        noise = f"{verdict.finding.noise_dbfs:.0f}"
        snr = "" if isnan(verdict.snr_db) else f"{verdict.snr_db:.0f}"
        takes = verdict.words or verdict.takes
        word = f"{takes[0].start / rate:.2f}-{takes[0].stop / rate:.2f}" if takes else "none"
        word += "…" if len(takes) > 1 else ""
    cells = (
        f"{verdict.seconds:.2f} s",
        f"{verdict.rate / 1000:g}",
        f"{verdict.channels}",
        f"{verdict.peak_dbfs:.1f}",
        noise,
        snr,
        f"{verdict.clipped:.1%}",
        word,
    )
    row = gap.join(f"{cell:>{n}}" for cell, n in zip(cells, WIDTHS, strict=True))
    return f"{row}{gap}{verdict.state}"


def _fitted(name: str, width: int) -> str:
    """Return a name in so many cells; one that is too long loses its middle."""
    if cell_len(name) > width:
        start = set_cell_size(name, width // 2 - 1).rstrip()
        end = name
        while cell_len(start) + 1 + cell_len(end) > width:
            end = end[1:]
        name = f"{start}…{end}"
    return set_cell_size(name, width)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    first = indent if indent == "    " else ""
    return textwrap.wrap(
        plain(text),
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
