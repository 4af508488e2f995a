"""Streams made of the evaluation recordings: one talker in one place says sentences and words."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.augment.channel import add_floor, set_level
from kws.augment.noise import add_noise, coloured, power
from kws.augment.placement import fade_edges
from kws.augment.room import reverberate
from kws.augment.rooms import simulate
from kws.common.seeding import rng
from kws.common.types import Audio
from kws.evaluation.streams import BACKGROUND, Spoken
from kws.evaluation.voices import by_voice, words_by_voice
from kws.params.sections import StreamConfig
from kws.recordings.audio import audio_files, read_audio, read_recording
from kws.recordings.floor import FLOOR_DBFS
from kws.recordings.word import word_of


@dataclass
class Voice:
    """All that one voice says: keywords with their labels, near misses, and sentences."""

    keywords: list[tuple[str, Audio]] = field(default_factory=list)
    near_misses: list[Audio] = field(default_factory=list)
    talk: list[Audio] = field(default_factory=list)


def read_voices(folder: Path, keywords: list[str], rate: int, longest_s: float) -> dict[str, Voice]:
    """Read `words/<LABEL>/`, `near_misses/` and `talk/`, by voice (`voice_of`), sorted.

    Words are cut where they begin and end; `longest_s` is that of `word_of`.
    """
    voices: defaultdict[str, Voice] = defaultdict(Voice)

    def word(path: Path) -> Audio:
        audio = read_recording(path, rate)
        return _even(fade_edges(audio[word_of(path, audio, rate, longest_s)]))

    for keyword in keywords:
        for voice, path in words_by_voice(folder / "words", keyword):
            voices[voice].keywords.append((keyword, word(path)))
    for voice, path in by_voice(folder / "near_misses"):
        voices[voice].near_misses.append(word(path))
    for voice, path in by_voice(folder / "talk"):
        voices[voice].talk.append(_even(read_audio(path, rate)))
    return dict(sorted(voices.items()))


def read_backgrounds(folder: Path, rate: int) -> dict[str, Audio]:
    """Read `backgrounds/*`, by name."""
    return {path.stem: read_audio(path, rate) for path in _files(folder / "backgrounds")}


def place_name(snr_db: float | None) -> str:
    """Return the name of a condition: `clean`, or `10dB`."""
    return "clean" if snr_db is None else f"{snr_db:g}dB"


def build_stream(
    name: str,
    voice: Voice,
    condition: int,
    backgrounds: dict[str, Audio],
    rir: Callable[[int], Audio],
    config: StreamConfig,
    rate: int,
    background_label: str,
) -> tuple[Audio, list[Spoken]]:
    """Return float32 [samples] of one voice under one condition, and where its keywords and near misses lie.

    All sentences and keywords are said in every condition, in another order; each near miss in one of them.
    The signal-to-noise ratio is that of speech to a background which runs throughout, the talker is in one of
    `config.rooms` (`rir` gives its impulse response) or close to the microphone.
    """
    snr = config.snr_db[condition]
    random = rng(config.seed, f"{name} {place_name(snr)}", 0)
    near = [(background_label, audio) for audio in voice.near_misses[condition :: len(config.snr_db)]]
    items = [*voice.keywords, *near, *((None, audio) for audio in voice.talk)]
    order = random.permutation(len(items))
    gaps = np.rint(random.uniform(*config.gap_s, len(items) + 1) * rate).astype(int)
    speech = np.zeros(int(gaps.sum()) + sum(len(audio) for _, audio in items), np.float32)
    active = np.zeros(len(speech), bool)
    spoken, at = [], 0
    for gap, index in zip(gaps, order, strict=False):
        label, audio = items[index]
        at += gap
        speech[at : at + len(audio)] = audio
        active[at : at + len(audio)] = True
        if label is not None:
            spoken.append(Spoken(label, at / rate, (at + len(audio)) / rate))
        at += len(audio)
    in_room, room = random.random() < config.p_reverb, int(random.integers(config.rooms.count))
    if in_room:
        speech = reverberate(speech, rir(room))[: len(speech)]
    speech = set_level(speech, float(random.uniform(*config.level_dbfs)))
    if snr is not None:
        noise = _background(backgrounds, len(speech), rate, random)
        speech = _mix(speech, noise, snr, active)
    return add_floor(speech, 0, FLOOR_DBFS, int(random.integers(2**31))), spoken


@dataclass(frozen=True)
class Studio:
    """All that streams are made of."""

    voices: dict[str, Voice]
    backgrounds: dict[str, Audio]
    config: StreamConfig
    rate: int
    background_label: str

    @property
    def streams(self) -> list[tuple[str, int | None]]:
        """Every stream: a voice and a condition, or a background without one."""
        spoken = product(islice(self.voices, self.config.voices), range(len(self.config.snr_db)))
        return [*spoken, *((name, None) for name in self.backgrounds)]

    def build(self, indices: range) -> list[tuple[str, Audio, list[Spoken]]]:
        """Return file, float32 [samples] and what is said of some of the streams."""
        return [self._stream(*self.streams[index]) for index in indices]

    def _stream(self, name: str, condition: int | None) -> tuple[str, Audio, list[Spoken]]:
        if condition is None:
            return f"{name}/{BACKGROUND}", build_background(name, self.backgrounds[name], self.config), []
        audio, spoken = build_stream(
            name,
            self.voices[name],
            condition,
            self.backgrounds,
            self._rir,
            self.config,
            self.rate,
            self.background_label,
        )
        return f"{name}/{place_name(self.config.snr_db[condition])}.flac", audio, spoken

    def _rir(self, index: int) -> Audio:
        return simulate(self.config.rooms, index, self.config.seed, self.rate, "stream")


def build_background(name: str, audio: Audio, config: StreamConfig) -> Audio:
    """Return a background alone, float32 [samples], at a level below that of speech."""
    random = rng(config.seed, f"background {name}", 0)
    quiet = set_level(audio, float(random.uniform(*config.level_dbfs)) - 10)
    return add_floor(quiet, 0, FLOOR_DBFS, int(random.integers(2**31)))


def _mix(speech: Audio, noise: Audio, snr_db: float, active: NDArray[np.bool_]) -> Audio:
    """Add noise at an SNR that counts speech only while somebody speaks, without leaving -1..1."""
    mixed = add_noise(speech, noise, snr_db + 10 * np.log10(active.mean()), slice(0, len(speech)))
    scaled: Audio = mixed / max(np.float32(1), np.abs(mixed).max())
    return scaled


def _background(backgrounds: dict[str, Audio], n: int, rate: int, random: np.random.Generator) -> Audio:
    """Return float32 [n] of a recorded background, repeated as often as it takes, or of pink noise."""
    if not backgrounds:
        return coloured(n, 3, rate, int(random.integers(2**31)))
    audio = backgrounds[sorted(backgrounds)[int(random.integers(len(backgrounds)))]]
    start = int(random.integers(len(audio)))
    return np.resize(np.roll(audio, -start), n)


def _even(audio: Audio) -> Audio:
    """Return the audio at unit power, so that no utterance drowns in noise that another stands out of."""
    rms = np.float32(np.sqrt(power(audio)))
    return audio / rms if rms > 0 else audio


def _files(folder: Path) -> list[Path]:
    return audio_files(folder, optional=True) if folder.is_dir() else []
