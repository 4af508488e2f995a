"""Recordings drawn, each with its words marked. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws.collect.check import Recording
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.terminal import plain
from kws.features.logmel import FrontEnd, log_mel

SUFFIXES = (".png", ".svg", ".pdf")
ACROSS, MOST = 4, 200
"""Recordings in a row, and in a picture: the doubtful ones come first where there are more."""
RANGE_DB = 60.0
"""What is shown below a recording's loudest point."""
COLOURS = {"ok": "tab:green", "doubtful": "tab:orange", "unusable": "tab:red"}


def draw(out: Path, recordings: Sequence[Recording], front_end: FrontEnd) -> None:
    """Draw waveform and log-mel of recordings whose sound is known, with the words in them."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("--plot: needs matplotlib; `pip install matplotlib`") from error
    if out.suffix not in SUFFIXES:
        raise UserError(f"--plot: {out}: expected a name ending in {', '.join(SUFFIXES)}")
    drawn = [one for one in recordings if one.verdict.audio is not None]
    if not drawn:
        raise UserError(f"--plot: {out}: there is no recording to draw")
    if len(drawn) > MOST:
        drawn = sorted(drawn, key=lambda one: one.verdict.state == "ok")[:MOST]
    rows = -(-len(drawn) // ACROSS)
    figure = Figure(figsize=(4 * ACROSS, 2.6 * rows), layout="constrained")
    grid = figure.subplots(2 * rows, ACROSS, squeeze=False, height_ratios=[1, 2] * rows)
    for place in grid.flat:
        place.set_axis_off()
    for index, one in enumerate(drawn):
        row, column = divmod(index, ACROSS)
        _draw(grid[2 * row][column], grid[2 * row + 1][column], one, front_end)
    with replacing(out) as partial:
        figure.savefig(partial, format=out.suffix[1:], dpi=100)


def _draw(wave: Any, bands: Any, one: Recording, front_end: FrontEnd) -> None:
    audio, rate, colour = one.verdict.audio, front_end.sample_rate, COLOURS[one.verdict.state]
    if audio is None or len(audio) < front_end.window:
        return
    seconds = len(audio) / rate
    name = plain(one.name).replace("$", r"\$")
    wave.set_title(f"{name}\n{one.verdict.state}", fontsize=8, color=colour)
    wave.plot(np.arange(len(audio)) / rate, audio, linewidth=0.4, color="black")
    wave.set(xlim=(0, seconds), ylim=(-1, 1))
    mel = log_mel(audio, front_end)
    bands.imshow(
        np.maximum(mel, mel.max() - RANGE_DB).T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, mel.shape[1]),
    )
    for take in one.verdict.takes:
        start, stop = take.start / rate, take.stop / rate
        wave.axvspan(start, stop, color=colour, alpha=0.3)
        for time in (start, stop):
            bands.axvline(time, color="white", linewidth=1)
