"""Every number that makes one clip, drawn before any audio is touched: the clip's row in the manifest."""

from bisect import bisect
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import ceil, exp, log
from typing import Literal

import numpy as np

from kws.augment.fragments import fragment_length
from kws.augment.placement import start_position
from kws.augment.sources import Bank, Sources
from kws.augment.splits import partition, split_of
from kws.common.seeding import rng
from kws.params.sections import Augment, Fragment

Kind = Literal["keyword", "speech", "background"] | Fragment

GAUSSIAN, COLOURED = "gaussian", "coloured"
"""The noise sources that are not files."""
EQ_BANDS = 6


@dataclass(frozen=True)
class Clip:
    """One row of a manifest; positions and lengths are in samples, levels in dB below full scale."""

    index: int
    label: str
    kind: Kind
    split: str
    source: str
    source_sha256: str
    source_start: int
    source_length: int
    other: str
    cut: float
    formant: float
    semitones: float
    duration: float
    start: int
    length: int
    rir: int
    noise: tuple[str, ...]
    noise_start: tuple[int, ...]
    noise_seed: int
    noise_slope: float
    snr_db: float
    eq_db: tuple[float, ...]
    low_hz: float
    high_hz: float
    level_dbfs: float | None
    drive_db: float
    offset: float
    floor_dbfs: float | None


@dataclass(frozen=True)
class Recipe:
    """What a shard of clips is drawn from: how many of which kind, the parameters and the sources."""

    name: str
    label: str
    n_clips: int
    kinds: dict[Kind, float]
    seed: int
    augment: Augment
    rate: int
    clip_samples: int
    sources: Sources

    @cached_property
    def _rirs(self) -> dict[str, list[str]]:
        return partition([f"{i}" for i in range(len(self.sources.rirs))], self.augment.val_share, 2)

    @cached_property
    def _background(self) -> dict[str, list[str]]:
        return partition(self.sources.background.names, self.augment.val_share, 2)

    @cached_property
    def _speech(self) -> dict[str, list[str]]:
        return partition(self.sources.speech.names, self.augment.val_share, 2)

    @cached_property
    def _words(self) -> dict[str, dict[str, list[str]]]:
        """Recordings by label and split: three of a word at least, or both splits use them all."""
        words = self.sources.words.items()
        return {label: partition(bank.names, self.augment.val_share, 3) for label, bank in words}

    def draw(self, index: int) -> Clip:
        """Draw clip `index` from the random numbers of (seed, shard, index)."""
        random, cfg, n = rng(self.seed, self.name, index), self.augment, self.clip_samples
        split = split_of(index, self.n_clips, cfg.val_share)
        kind = self._kind(random)
        bank, source, other = self._sources(random, kind, split)
        voiced = kind != "background"

        def maybe(p: float, low: float, high: float, neutral: float) -> float:
            happens, value = random.random() < p, float(random.uniform(low, high))
            return value if happens and voiced else neutral

        cut = float(random.uniform(*cfg.hard_cut))
        formant = 2 ** maybe(cfg.p_formant, -cfg.formant_octaves, cfg.formant_octaves, 0)
        semitones = maybe(cfg.p_pitch, -cfg.pitch_semitones, cfg.pitch_semitones, 0)
        if cfg.p_formant == 0:
            formant = 2 ** (semitones / 12)
        duration = maybe(cfg.p_stretch, cfg.stretch_low, cfg.stretch_high, 1)
        if kind == "speech" or kind == "background":
            heard = source_length = min(bank.length(source), ceil(n / duration)) if voiced else n
        else:
            source_length = bank.length(source)
            other_length = len(self.sources.word(other)) if other else 0
            heard = fragment_length(kind, source_length, other_length, cut)
            duration = min(duration, n / heard)
        length = min(n, round(heard * duration))
        shift = maybe(cfg.p_shift, -cfg.max_shift_ms, cfg.max_shift_ms, 0) * self.rate / 1000
        start = {"entering": n - length, "leaving": 0}.get(kind, start_position(length, n, shift))
        rir = int(_pick(random, self._rirs[split]))
        has_room = random.random() < cfg.p_reverb and voiced
        noise, noise_start = self._noise(random, split)
        snr = float(random.uniform(*cfg.snr_range) if cfg.snr_range else random.choice(cfg.snr_list))
        coloured, eq = random.random() < cfg.p_channel, random.uniform(-cfg.eq_db, cfg.eq_db, EQ_BANDS)
        low, high = (exp(random.uniform(log(r[0]), log(r[1]))) for r in (cfg.low_hz, cfg.high_hz))
        return Clip(
            index=index,
            label=self.label,
            kind=kind,
            split=split,
            source=source,
            source_sha256=bank.hashes[source],
            source_start=int(random.integers(max(1, bank.length(source) - source_length + 1))),
            source_length=source_length,
            other=other,
            cut=cut,
            formant=formant,
            semitones=semitones,
            duration=duration,
            start=start,
            length=length,
            rir=rir if has_room else -1,
            noise=noise,
            noise_start=noise_start,
            noise_seed=int(random.integers(2**31)),
            noise_slope=float(random.uniform(*cfg.noise_slope_db)),
            snr_db=snr,
            eq_db=tuple(map(float, eq)) if coloured else (),
            low_hz=low,
            high_hz=high,
            level_dbfs=float(random.uniform(*cfg.level_dbfs)) if cfg.level_dbfs else None,
            drive_db=float(random.uniform(0, cfg.drive_db)) if random.random() < cfg.p_clip else 0.0,
            offset=float(random.uniform(-cfg.offset, cfg.offset)),
            floor_dbfs=float(random.uniform(*cfg.floor_dbfs)) if cfg.floor_dbfs else None,
        )

    def _kind(self, random: np.random.Generator) -> Kind:
        total = list(accumulate(self.kinds.values()))
        return list(self.kinds)[bisect(total, random.random() * total[-1])]

    def _sources(self, random: np.random.Generator, kind: Kind, split: str) -> tuple[Bank, str, str]:
        """Return the bank and file of a clip, and the second word of a joined one."""
        if kind == "background":
            return self.sources.background, _pick(random, self._background[split]), ""
        if kind == "speech":
            return self.sources.speech, _pick(random, self._speech[split]), ""
        label = _pick(random, list(self._words))
        source, other = _pick(random, self._words[label][split]), ""
        if kind == "joined":
            second = _pick(random, [name for name in self._words if name != label])
            other = _pick(random, self._words[second][split])
        return self.sources.words[label], source, other

    def _noise(self, random: np.random.Generator, split: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the noise sources of a clip, none at all with 1 - p_noise, and where each file starts."""
        cfg = self.augment
        names = [GAUSSIAN, *([COLOURED] if cfg.use_coloured_noise else [])]
        names += self._background[split] if cfg.use_fondo_as_noise else []
        count = int(random.integers(1, cfg.max_noises + 1)) if random.random() < cfg.p_noise else 0
        chosen = tuple(_pick(random, names) for _ in range(count))
        files = self.sources.background
        starts = (int(random.integers(files.length(c))) if c in files.offsets else 0 for c in chosen)
        return chosen, tuple(starts)


def _pick(random: np.random.Generator, items: list[str]) -> str:
    return items[int(random.integers(len(items)))]
