"""A word encoder that people's recordings made, to learn from: EfficientWord-Net (Apache-2.0).

A residual network of 50 layers, trained with an angular margin to tell words of the Multilingual Spoken Words
Corpus apart: `pip download --no-deps EfficientWord-Net==1.0.5`, `eff_word_net/models/resnet_50_arc` in it.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Features
from kws.runtime.inference import Session

SAMPLES = 24000
"""That it hears at once: 1.5 s."""
RATE, WINDOW, STEP, FFT, BANDS, FRAMES = 16000, 400, 160, 512, 64, 149
SILENCE = np.finfo(np.float64).eps
"""What stands for no energy."""


def hear(network: Session, audio: Features) -> Features:
    """Return float32 [clips, 2048] of float32 [clips, SAMPLES]: to be compared without the mean of many."""
    name = network.get_inputs()[0].name
    heard = [network.run(None, {name: clip[None, None]})[0] for clip in log_energies(audio)]
    vectors: Features = np.concatenate(heard)
    return vectors


def log_energies(audio: Features) -> Features:
    """Return float32 [clips, FRAMES, BANDS]: log energies of its bands, without window or pre-emphasis."""
    padded = np.pad(audio.astype(np.float64), ((0, 0), (0, (FRAMES - 1) * STEP + WINDOW - SAMPLES)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::STEP]
    power = np.square(np.abs(np.fft.rfft(frames, FFT))) / FFT
    energies = power @ _bands().T
    logarithms: Features = np.log(np.where(energies == 0, SILENCE, energies)).astype(np.float32)
    return logarithms


@cache
def _bands() -> NDArray[np.float64]:
    """Return triangles [BANDS, FFT // 2 + 1] between whole bins, even in mel."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    bins = np.floor((FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / RATE)
    at = np.arange(FFT // 2 + 1)
    low, middle, high = (bins[i : BANDS + i, None] for i in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        rise, fall = (at - low) / (middle - low), (high - at) / (high - middle)
    return np.where((at >= low) & (at < middle), rise, 0) + np.where((at >= middle) & (at < high), fall, 0)
