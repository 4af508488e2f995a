"""Augmentation: clips per second of the two presets, and whether many clips cost more than few.

The baseline is the seed recipe written plainly: one process, librosa for pitch and tempo, scipy for the room.
"""

import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import librosa
import numpy as np
import soundfile
from scipy.signal import fftconvolve

from kws.augment.clips import make_clips
from kws.augment.recipe import Recipe
from kws.augment.rooms import simulate
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.params.compose import compose
from kws.params.sections import Augment
from kws.params.whole import load_params

ROOT = Path(__file__).parent.parent
SEEDS, RATE, LABEL = ROOT / "data/seeds", 16000, "REPETIR"
PLAIN_CLIPS, SEED_CLIPS, WIDE_CLIPS = 300, 12_000, (300, 3000, 30_000)


def report(name: str, value: float, unit: str, baseline: float) -> None:
    """Print one JSON object."""
    row = {"name": name, "value": round(value, 1), "unit": unit, "baseline": round(baseline, 1)}
    print(json.dumps(row | {"ratio": round(value / baseline, 2)}), flush=True)


def preset(name: str) -> Augment:
    """Return the parameters of an augmentation preset."""
    with TemporaryDirectory() as folder:
        compose(ROOT / "conf", Path(folder) / "params.yaml", [f"augment={name}"])
        return load_params(Path(folder) / "params.yaml").augment


def ours(augment: Augment, n: int, sources: Sources) -> float:
    """Return clips per second over all workers, files included."""
    recipe = Recipe(LABEL, LABEL, n, {"keyword": 1}, 1, augment, RATE, RATE, sources)
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        make_clips(Path(folder) / LABEL, recipe)
        return n / (time.perf_counter() - start)


class Plain:
    """The original generator's transforms: librosa for voice and tempo, scipy for the room."""

    def __init__(self, cfg: Augment, rirs: np.ndarray) -> None:
        """Read the background, and start the random numbers."""
        self.cfg, self.rirs, self.random = cfg, rirs, np.random.default_rng(0)
        self.noises = [librosa.load(path, sr=RATE)[0] for path in sorted((SEEDS / "FONDO").iterdir())]

    def word(self, label: str) -> np.ndarray:
        """Return a recording, float32 [samples]."""
        return librosa.load(next((SEEDS / label).iterdir()), sr=RATE)[0]

    def noise(self) -> np.ndarray:
        """Return a second of one background, float32 [RATE]."""
        noise = self.noises[self.random.integers(len(self.noises))]
        offset = self.random.integers(len(noise) - RATE)
        return noise[offset : offset + RATE]

    def clip(self, audio: np.ndarray) -> np.ndarray:
        """Return a clip of a word, float32 [RATE]."""
        cfg, random = self.cfg, self.random
        if random.random() < cfg.p_stretch:
            audio = librosa.effects.time_stretch(
                audio, rate=random.uniform(cfg.stretch_low, cfg.stretch_high)
            )
        if random.random() < cfg.p_pitch:
            steps = random.uniform(-cfg.pitch_semitones, cfg.pitch_semitones)
            audio = librosa.effects.pitch_shift(audio, sr=RATE, n_steps=steps)
        if random.random() < cfg.p_reverb:
            audio = fftconvolve(audio, self.rirs[random.integers(len(self.rirs))])
        shift = random.uniform(-cfg.max_shift_ms, cfg.max_shift_ms) * RATE / 1000
        clip = librosa.util.fix_length(audio, size=RATE)
        if random.random() < cfg.p_shift:
            clip = np.roll(clip, round(shift))
        if random.random() < cfg.p_noise:
            noise = self.noise()
            gain = np.sqrt(np.mean(clip**2) / np.mean(noise**2) / 10 ** (random.choice(cfg.snr_list) / 10))
            clip = clip + gain * noise
        return np.clip(clip, -1, 1)


def plain(cfg: Augment, n: int, rirs: np.ndarray) -> float:
    """Return clips per second of the seed recipe in one plain loop, one WAV a clip."""
    loop = Plain(cfg, rirs)
    word = loop.word(LABEL)
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        for index in range(n):
            soundfile.write(Path(folder) / f"{index:05d}.wav", loop.clip(word), RATE)
        return n / (time.perf_counter() - start)


def main() -> None:
    """Print one JSON object a line."""
    seed, wide = preset("seed"), preset("wide")
    rirs = np.stack([simulate(seed.rooms, index, 1, RATE) for index in range(16)])
    words = {LABEL: read_words(LABEL, SEEDS, ROOT / "data/none", RATE, 1.0)}
    sources = Sources(words, read_bank(SEEDS / "FONDO", RATE), empty_bank(), rirs)
    plain(seed, 5, rirs)
    baseline = plain(seed, PLAIN_CLIPS, rirs)
    report("augment_seed", ours(seed, SEED_CLIPS, sources), "clips/s", baseline)
    few, *more = (ours(wide, n, sources) for n in WIDE_CLIPS)
    report(f"augment_wide_{WIDE_CLIPS[0]}", few, "clips/s", baseline)
    for n, rate in zip(WIDE_CLIPS[1:], more, strict=True):
        report(f"augment_wide_{n}", rate, "clips/s", few)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    megabytes = sum(peaks) / (1024 if sys.platform == "linux" else 1024**2)
    report("augment_wide_memory_of_parent_and_largest_worker", megabytes, "MB", 1024)


if __name__ == "__main__":
    main()
