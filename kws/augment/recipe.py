"""Every number that makes one clip, drawn before any audio is touched: the clip's row in the manifest."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kws.augment.placement import start_position
from kws.augment.sources import Bank, Kind, Sources
from kws.config import Augment
from kws.seeding import rng
from kws.splits import partition, split_of

GAUSSIAN = "gaussian"
"""The noise source that is not a file."""


@dataclass(frozen=True)
class Clip:
    """One row of a manifest; positions and lengths are in samples."""

    index: int
    label: str
    kind: Kind
    split: str
    source: str
    source_sha256: str
    source_start: int
    source_length: int
    semitones: float
    duration: float
    start: int
    length: int
    rir: int
    noise: str
    noise_start: int
    noise_seed: int
    snr_db: float


@dataclass(frozen=True)
class Recipe:
    """What a label's clips are drawn from: parameters, sources, and who may use which source."""

    label: str
    is_keyword: bool
    seed: int
    augment: Augment
    rate: int
    clip_samples: int
    sources: Sources

    @property
    def n_clips(self) -> int:
        """Clips of this label."""
        if self.is_keyword:
            return self.augment.per_class
        return round(self.augment.fondo_minutes * 60 * self.rate / self.clip_samples)

    @cached_property
    def _rirs(self) -> dict[str, list[str]]:
        return partition([f"{i}" for i in range(len(self.sources.rirs))], self.augment.val_share, 2)

    @cached_property
    def _files(self) -> dict[Kind, dict[str, list[str]]]:
        """Who may use which file: splits share no background and no negative, and no recording of three."""
        banks: list[tuple[Kind, Bank, int]] = [
            ("keyword", self.sources.words, 3),
            ("speech", self.sources.speech, 2),
            ("background", self.sources.background, 2),
        ]
        return {kind: partition(bank.names, self.augment.val_share, least) for kind, bank, least in banks}

    def draw(self, index: int) -> Clip:
        """Draw clip `index` from the random numbers of (seed, label, index)."""
        random, cfg = rng(self.seed, self.label, index), self.augment
        split = split_of(index, self.n_clips, cfg.val_share)
        n = self.clip_samples
        kind = self._kind(random)
        bank = self.sources.bank(kind)
        source = _pick(random, self._files[kind][split])
        changes = kind != "background"
        semitones = _maybe(
            random, cfg.p_pitch if changes else 0, -cfg.pitch_semitones, cfg.pitch_semitones, 0
        )
        duration = _maybe(random, cfg.p_stretch if changes else 0, cfg.stretch_low, cfg.stretch_high, 1)
        shift = _maybe(random, cfg.p_shift, -cfg.max_shift_ms, cfg.max_shift_ms, 0)
        if kind == "keyword":
            source_length = bank.length(source)
            duration = min(duration, n / source_length)
        else:
            source_length = min(bank.length(source), int(np.ceil(n / duration))) if changes else n
        source_start = int(random.integers(max(1, bank.length(source) - source_length + 1)))
        length = min(n, round(source_length * duration))
        rir = (
            int(_pick(random, self._rirs[split]))
            if random.random() < (cfg.p_reverb if changes else 0)
            else -1
        )
        files = self._files["background"][split]
        noise = _pick(random, [GAUSSIAN, *files] if cfg.use_fondo_as_noise else [GAUSSIAN])
        return Clip(
            index=index,
            label=self.label,
            kind=kind,
            split=split,
            source=source,
            source_sha256=bank.hashes[source],
            source_start=source_start,
            source_length=source_length,
            semitones=semitones,
            duration=duration,
            start=start_position(length, n, shift * self.rate / 1000),
            length=length,
            rir=rir,
            noise=noise if random.random() < cfg.p_noise else "",
            noise_start=int(random.integers(self._noise_length(noise))),
            noise_seed=int(random.integers(2**31)),
            snr_db=float(random.choice(cfg.snr_list)),
        )

    def _kind(self, random: np.random.Generator) -> Kind:
        if self.is_keyword:
            return "keyword"
        return "speech" if random.random() < self.augment.speech_share else "background"

    def _noise_length(self, noise: str) -> int:
        return 1 if noise == GAUSSIAN else self.sources.background.length(noise)


def _pick(random: np.random.Generator, items: list[str]) -> str:
    return items[int(random.integers(len(items)))]


def _maybe(random: np.random.Generator, p: float, low: float, high: float, neutral: float) -> float:
    """Return a uniform draw with probability `p`, else the neutral value; two numbers are always drawn."""
    happens, value = random.random() < p, float(random.uniform(low, high))
    return value if happens else neutral
