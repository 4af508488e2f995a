"""Recordings as phones and browsers write them, made by PyAV's own encoders."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

KINDS = {
    "m4a": ("ipod", "aac", {}),
    "fast.m4a": ("ipod", "aac", {"movflags": "faststart"}),
    "alac.m4a": ("ipod", "alac", {}),
    "mp4": ("mp4", "aac", {}),
    "fragments.mp4": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "3gp": ("3gp", "libopencore_amrnb", {}),
    "aac.3gp": ("3gp", "aac", {}),
    "amr": ("amr", "libopencore_amrnb", {}),
    "aac": ("adts", "aac", {}),
    "webm": ("webm", "libopus", {}),
    "live.webm": ("webm", "libopus", {"live": "1"}),
    "mp3": ("mp3", "libmp3lame", {}),
}
"""File by how it is written: format, codec, options. A live WebM, as browsers write it, has no length."""


def record(kind: str, audio: np.ndarray, rate: int) -> bytes:
    """Return float [samples], or [samples, channels], as a file; AMR takes 8 kHz only, Opus 48 kHz best."""
    form, codec, options = KINDS[kind]
    channels = np.rint(np.clip(audio.reshape(len(audio), -1), -1, 1) * 32767).astype(np.int16)
    layout = {1: "mono", 2: "stereo"}[channels.shape[1]]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        _write(path, form, codec, options, layout, channels, rate)
        return path.read_bytes()


def _write(path, form, codec, options, layout, channels, rate):
    with av.open(path, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(channels.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        context.open()
        resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
