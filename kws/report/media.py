"""Sounds and their pictures as data URIs, so that the page is one file."""

import base64
import io
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from PIL import Image

from kws.common.errors import UserError
from kws.common.types import Audio
from kws.features.logmel import FrontEnd, log_mel
from kws.recordings.soundfiles import open_sound, read_frames

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
RANGE_DB = 60
"""What a spectrogram shows below its loudest point."""
COLOURS = 64
ANCHORS = [(6, 5, 26), (68, 20, 108), (150, 44, 116), (222, 82, 84), (250, 158, 68), (252, 250, 200)]
"""The colour map from quiet to loud, in equal steps; its lightness rises throughout."""


def mp3(audio: Audio, rate: int) -> str:
    """Return float32 [samples] as an MP3 data URI, 40 to 50 kbit/s for speech at 16 kHz."""
    file, known = io.BytesIO(), next(known for known in MP3_RATES if known >= rate)
    samples = audio if known == rate else soxr.resample(audio, rate, known)
    soundfile.write(file, samples, known, format="MP3", subtype="MPEG_LAYER_III")
    return _data_uri("audio/mpeg", file.getvalue())


def spectrogram(audio: Audio, front_end: FrontEnd) -> str:
    """Return the log-mel of float32 [samples], a PNG data URI, one pixel a frame and band, low ones below."""
    decibels = log_mel(audio, front_end)
    shade = np.clip(1 + (decibels - decibels.max()) / RANGE_DB, 0, 1)
    image = Image.fromarray(np.rint(shade * (COLOURS - 1)).astype(np.uint8).T[::-1])
    image.putpalette(palette().tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return _data_uri("image/png", file.getvalue())


def palette() -> NDArray[np.uint8]:
    """Return the colour map, [COLOURS, 3]."""
    steps = np.linspace(0, len(ANCHORS) - 1, COLOURS)
    channels = [np.interp(steps, range(len(ANCHORS)), channel) for channel in zip(*ANCHORS, strict=True)]
    colours: NDArray[np.uint8] = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return colours


def read_part(path: Path, start: float, end: float, rate: int) -> tuple[Audio, float]:
    """Return what a recording holds between two times, float32 [samples] at `rate`, and when that starts.

    Only this part is decoded; what lies before or after the recording is left out. Raises UserError where
    that leaves nothing, or cannot be decoded.
    """
    with open_sound(path) as file:
        first = max(0, round(start * file.samplerate))
        mono = read_frames(file, path, first, max(0, round(end * file.samplerate) - first))
        if not len(mono):
            raise UserError(f"{path}: ends before {start:.1f} s; correct the times in labels.csv")
        begins = first / file.samplerate
        return (mono if file.samplerate == rate else soxr.resample(mono, file.samplerate, rate)), begins


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
