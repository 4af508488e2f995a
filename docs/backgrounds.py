"""How data/eval/backgrounds was computed, no recording among it: `python -m docs.backgrounds`."""

from pathlib import Path

import numpy as np
import soundfile

from kws.augment.channel import colour, set_level
from kws.augment.noise import coloured
from kws.common.seeding import rng
from kws.common.types import Audio
from kws.recordings.audio import audio_files, read_audio

RATE, SECONDS = 16000, 20
N = RATE * SECONDS
TIME = np.arange(N) / RATE
EVAL = Path("data/eval")


def slow(name: str, per_s: float, low: float, high: float) -> np.ndarray:
    """Return a curve that wanders between two values, with so many turning points a second."""
    points = rng(0, name, 1).uniform(low, high, int(SECONDS * per_s) + 2)
    return np.interp(TIME, np.arange(len(points)) / per_s, points)


def traffic() -> Audio:
    """Tyres and engines that pass."""
    tyres = colour(coloured(N, 3, RATE, 1), RATE, [6, 6, 0, -6, -9, -12], 30, 3000)
    return tyres * slow("traffic", 0.4, 0.1, 1).astype(np.float32) ** 2


def vacuum() -> Audio:
    """A motor's harmonics in broad noise."""
    phase = 2 * np.pi * np.cumsum(slow("vacuum", 1, 268, 276)) / RATE
    motor = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (0.3 * motor + coloured(N, 1, RATE, 2)).astype(np.float32)


def washing() -> Audio:
    """A drum that turns once every 1.3 s, water and a belt."""
    turn = 0.6 + 0.4 * np.sin(2 * np.pi * TIME / 1.3) ** 3
    return (turn * coloured(N, 4, RATE, 3) + 0.2 * np.sin(2 * np.pi * 96 * TIME)).astype(np.float32)


def dishes() -> Audio:
    """Plates and cutlery: struck modes that ring out."""
    random, audio = rng(0, "dishes", 0), np.zeros(N + RATE)
    for start in random.integers(0, N, 70):
        length = int(random.uniform(0.05, 0.6) * RATE)
        t = np.arange(length) / RATE
        for hertz in random.uniform(700, 7000, 5):
            audio[start : start + length] += (
                random.uniform(0.1, 1) * np.sin(2 * np.pi * hertz * t) * np.exp(-6 * t * RATE / length)
            )
    return (audio[:N] + 0.02 * coloured(N, 2, RATE, 4)).astype(np.float32)


def music() -> Audio:
    """Plucked chords and a bass, four to a bar."""
    random, audio = rng(0, "music", 0), np.zeros(N + 2 * RATE)
    beat, t = RATE // 2, np.arange(2 * RATE) / RATE
    for index, start in enumerate(range(0, N, beat)):
        root = 110 * 2 ** ([0, 5, 7, 3][index // 4 % 4] / 12)
        for step in (0, 12, *random.choice([16, 19, 24, 28], 2)):
            tone = sum(np.sin(2 * np.pi * k * root * 2 ** (step / 12) * t) / k**1.5 for k in range(1, 9))
            audio[start : start + len(t)] += tone * np.exp(-3 * t)
    return audio[:N].astype(np.float32)


def crowd() -> Audio:
    """All evaluation voices at once, in many layers."""
    talk = [read_audio(path, RATE) for path in audio_files(EVAL / "talk")]
    layers = [np.resize(np.concatenate(talk[i::14]), N) for i in range(14)]
    return np.sum(layers, axis=0, dtype=np.float32)


if __name__ == "__main__":
    for make in (traffic, vacuum, washing, dishes, music, crowd):
        path = EVAL / "backgrounds" / f"{make.__name__}.ogg"
        path.parent.mkdir(exist_ok=True)
        with soundfile.SoundFile(path, "w", RATE, 1, format="OGG", subtype="VORBIS") as file:
            for block in np.array_split(set_level(make(), -3), SECONDS):
                file.write(block)
