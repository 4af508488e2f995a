"""Pictures of recordings: waveform, log-mel, scores, events. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.terminal import plain
from kws.common.types import Audio, Features
from kws.features.logmel import FrontEnd, log_mel
from kws.runtime.kit import Kit
from kws.runtime.recording import Part
from kws.runtime.source import read_blocks

LONGEST_S = 600.0
SUFFIXES = (".png", ".svg", ".pdf")
FLOOR_DB = 80.0
"""Range of the log-mel's colours below its maximum."""


def plot_features(
    out: Path, recording: Path, audio: Audio, mel: Features, front_end: FrontEnd, decibels: bool
) -> None:
    """Draw float32 [samples] and its features, [frames, n_mels]."""
    figure, (wave, bands) = _figure(out, 2, len(audio) / front_end.sample_rate)
    wave.set_title(plain(recording.name).replace("$", r"\$"))
    _draw_wave(wave, audio, front_end.sample_rate)
    picture = _draw_bands(bands, mel, front_end)
    figure.colorbar(picture, ax=[wave, bands], label="dB" if decibels else front_end.norm)
    bands.set_xlabel("s")
    _save(figure, out)


def plot_stream(
    out: Path, recording: Path, kit: Kit, heard: Sequence[Part], channel: int | None = None
) -> None:
    """Draw a recording with the moving averages, thresholds and events of its windows.

    A window's score stands at its end, when it is known. Raises UserError for more than ten minutes.
    """
    front_end, spec = kit.front_end, kit.detector
    rate = front_end.sample_rate
    averages = np.concatenate([part.averages for part in heard])
    ends = np.concatenate([part.ends for part in heard])
    if len(averages) and ends[-1] > LONGEST_S:
        raise UserError(f"--plot: {recording} is {ends[-1]:.0f} s long; draw {LONGEST_S:g} s at most")
    audio = np.concatenate(list(read_blocks(recording, rate, 10, channel)))
    figure, (wave, bands, scores) = _figure(out, 3, len(audio) / rate)
    wave.set_title(plain(recording.name).replace("$", r"\$"))
    _draw_wave(wave, audio, rate)
    if len(audio) >= front_end.window:
        mel = log_mel(audio, front_end)
        _draw_bands(bands, np.maximum(mel, mel.max() - FLOOR_DB), front_end)
    for index, keyword in enumerate(spec.keywords):
        (line,) = scores.plot(ends, averages[:, index], label=keyword, linewidth=1)
        scores.axhline(spec.on[keyword], color=line.get_color(), linewidth=0.5, linestyle=":")
    for event in (event for part in heard for event in part.events):
        wave.axvspan(event.start, event.end, color="tab:green", alpha=0.25)
        scores.annotate(event.label, (event.end, event.score), ha="right", fontsize=8)
        scores.plot(event.end, event.score, "v", color="black")
    scores.set(xlabel="s", ylabel="moving average", ylim=(0, 1.05))
    figure.legend(loc="outside lower center", fontsize=8, ncols=len(spec.keywords))
    _save(figure, out)


def _figure(out: Path, rows: int, seconds: float) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("--plot: needs matplotlib; `pip install matplotlib`") from error
    if out.suffix not in SUFFIXES:
        raise UserError(f"--plot: {out}: expected a name ending in {', '.join(SUFFIXES)}")
    figure = Figure(figsize=(float(np.clip(seconds / 2, 8, 30)), 2.5 * rows), layout="constrained")
    return figure, figure.subplots(rows, sharex=True)


def _draw_wave(axes: Any, audio: Audio, rate: int) -> None:
    axes.plot(np.arange(len(audio)) / rate, audio, linewidth=0.4)
    axes.set(ylabel="amplitude", xlim=(0, len(audio) / rate))


def _draw_bands(axes: Any, mel: Features, front_end: FrontEnd) -> Any:
    hop = front_end.hop_ms / 1000
    start = (front_end.window_ms / 1000 - hop) / 2  # a frame stands at its middle
    extent = (start, start + len(mel) * hop, 0, mel.shape[1])
    axes.set_ylabel("mel band")
    return axes.imshow(mel.T, origin="lower", aspect="auto", extent=extent, interpolation="nearest")


def _save(figure: Any, out: Path) -> None:
    with replacing(out) as partial:
        figure.savefig(partial, format=out.suffix[1:], dpi=100)
