"""A log-mel drawn in a terminal."""

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

from kws.common.types import Audio
from kws.features.logmel import FrontEnd, log_mel

RANGE_DB = 60.0
"""What is shown below the loudest point."""
UPPER_HALF = "▀"


def spectrogram(audio: Audio, front_end: FrontEnd, columns: int, rows: int) -> list[Text]:
    """Return float32 [samples] as rows of characters, two bands in each, high ones above."""
    if len(audio) < front_end.window:
        return [Text()] * rows
    mel = log_mel(audio, front_end)
    shade = np.clip(1 + (mel - mel.max()) / RANGE_DB, 0, 1)
    grid = _reduced(_reduced(shade, columns).T, 2 * rows)[::-1]
    return [_row(upper, lower) for upper, lower in zip(grid[::2], grid[1::2], strict=True)]


def _reduced(values: Audio, n: int) -> Audio:
    """Return n means along the first axis; of fewer rows each stands several times."""
    edges = np.linspace(0, len(values), n + 1)
    first = np.floor(edges[:-1]).astype(int)
    last = np.maximum(first + 1, np.floor(edges[1:]).astype(int))
    means: Audio = np.array([values[a:b].mean(axis=0) for a, b in zip(first, last, strict=True)])
    return means


def _row(upper: Audio, lower: Audio) -> Text:
    text = Text()
    for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
        text.append(UPPER_HALF, Style(color=_colour(above), bgcolor=_colour(below)))
    return text


def _colour(shade: float) -> Color:
    """Return one of the 24 greys that terminals have."""
    return Color.from_ansi(232 + round(23 * shade))
