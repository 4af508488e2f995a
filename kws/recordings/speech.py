"""How much each moment of a recording sounds like speech: the judgement of Silero's network."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from kws.common.types import Audio

RATE = 16000
CHUNK, CONTEXT = 512, 64
"""Samples that the network judges at a time, at its rate, and how many before them it hears again."""
CHUNK_S = CHUNK / RATE
LEAD = 16 * CHUNK
"""Faint noise before the recording: the network needs a moment before it knows a word that comes first."""
FAINT = np.float32(1e-3)
LIMIT = np.float32(0.5)
"""Peak that what is louder comes near to, as the network hears it"""
LOUD = 0.1
"""RMS of words that the network is sure of: it takes what is quiet for noise."""
WORD, SYLLABLE = 9, 4
"""Chunks of a short word, and of its loudest part."""
DROP = 0.3
"""The rest of a word is not quieter than its loudest part times this; noise that is shall stay quiet."""


def likeness(audio: Audio, rate: int) -> NDArray[np.float32]:
    """Return the probability of speech in float32 [samples] without offset: one of 0..1 for each 32 ms."""
    heard = _resampled(audio, rate)
    n = -(-len(heard) // CHUNK)
    padded = FAINT * np.random.default_rng(0).standard_normal(LEAD + n * CHUNK, np.float32)
    padded[LEAD : LEAD + len(heard)] += LIMIT * np.tanh(heard / LIMIT)
    chunks = np.lib.stride_tricks.sliding_window_view(np.pad(padded, (CONTEXT, 0)), CONTEXT + CHUNK)[::CHUNK]
    memory = np.zeros((1, 1, 128), np.float32)
    inputs = {"input": chunks, "h": memory, "c": memory}
    values: NDArray[np.float32] = _network().run(["speech_probs"], inputs)[0]
    return values.ravel()[LEAD // CHUNK :]


def as_loud_as_words(audio: Audio, rate: int) -> Audio:
    """Return float32 [samples] at the level at which what is loudest for as long as a word is LOUD."""
    heard = _resampled(audio, rate)
    n = -(-len(heard) // CHUNK)
    chunks = np.pad(heard, (0, n * CHUNK - len(heard))).reshape(n, CHUNK)
    rms = np.sort(np.sqrt(np.mean(chunks**2, axis=1)))[::-1]
    loudest = max(float(rms[min(n, WORD) - 1]), DROP * float(rms[min(n, SYLLABLE) - 1]), 1e-6)
    return audio * np.float32(LOUD / loudest)


def _resampled(audio: Audio, rate: int) -> Audio:
    resampled: Audio = audio if rate == RATE else soxr.resample(audio, rate, RATE)
    return resampled


@cache
def _network() -> Any:
    # imported here, because most of what reads recordings looks for no word in them; and silero_vad is only
    # looked for, because importing it brings torch
    import onnxruntime

    package = find_spec("silero_vad")
    assert package and package.submodule_search_locations
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    path = Path(package.submodule_search_locations[0], "data/silero_vad_16k_sequence.onnx")
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
