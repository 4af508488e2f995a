"""Finding the word: scenes whose truth is known, a word laid into 2 to 6 s with one thing that disturbs.

The baseline is the finder by energy alone: what is loudest is the word. `--choose` takes the other half of
the words and other noise: thresholds were chosen on those, so no choice saw what is printed without it.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from kws.augment.noise import coloured, power
from kws.common.types import Audio
from kws.recordings.audio import audio_files, read_audio
from kws.recordings.word import search

ROOT = Path(__file__).parent.parent
SEEDS, VOICES = ROOT / "data/seeds", ROOT / "data/voices"
SHARED = ROOT.parent / "shared/data"
"""Recordings of people and of noise, which are not part of the project; what is absent is left out."""
RATE = 16000
LONGEST_S = 1.2
EDGE_S = 0.08
TRUTH_DB = 30
"""A clean word lasts from where it first comes within so much of its loudest 20 ms to where it last does."""
PEAKS_DBFS = 0, -20, -40
HUMAN = {
    "ACOPLAR/000_acoplar.wav": (0.53, 1.37),
    "CANCELAR/000_cancelar.wav": (0.30, 1.10),
    "CONTINUAR/000_continuar.wav": (0.44, 1.28),
    "LEVANTADO/000_levantado.wav": (0.36, 1.28),
    "PRINCIPAL/000_principal.wav": (0.34, 1.20),
    "REPETIR/001_repetir.wav": (0.40, 1.28),
    "SALIR/000_salir.wav": (0.35, 0.95),
}
"""Begin and end in seconds of one man's words, read off the waveforms."""
DIGITS = "george", "jackson", "lucas", "nicolas", "theo", "yweweler"

Random = np.random.Generator
Truth = tuple[int, int]


@dataclass(frozen=True)
class Word:
    """A clean word, cut out with little around it."""

    audio: Audio
    begin: int
    end: int
    text: str
    voice: str

    @property
    def peak(self) -> float:
        """Largest sample."""
        return float(np.abs(self.audio).max())

    @property
    def rms(self) -> float:
        """Of the word from its begin to its end."""
        return float(np.sqrt(power(self.audio[self.begin : self.end])))


@dataclass(frozen=True)
class Scene:
    """A recording, and where the words in it begin and end."""

    audio: Audio
    truth: tuple[Truth, ...]
    alike: bool = False
    """whether any of them could be meant, so that it must be asked"""


def words() -> list[Word]:
    """Return all words at hand, those of one voice in a row."""
    files = [
        (path, path.parent.name, "seed") for path in audio_files(SEEDS, besides=()) if path.suffix == ".wav"
    ]
    files += [(path, path.stem, path.parent.name) for path in audio_files(VOICES)]
    fsdd = SHARED / "real/fsdd/recordings"
    if fsdd.is_dir():
        files += [(fsdd / f"{d}_{v}_{7 * d % 50}.wav", str(d), v) for v in DIGITS for d in range(10)]
    found = [clean(read_audio(path, RATE), text, voice) for path, text, voice in files]
    folder = SHARED / "real/human_es"
    for name, (begin, end) in HUMAN.items() if folder.is_dir() else ():
        audio = read_audio(folder / name, RATE)
        start, stop = round((begin - 0.1) * RATE), round((end + 0.1) * RATE)
        cut = faded(audio[start:stop])
        found.append(Word(cut, round(0.1 * RATE), len(cut) - round(0.1 * RATE), name.split("/")[0], "human"))
    return found


def clean(audio: Audio, text: str, voice: str) -> Word:
    """Return a word of a clean recording with the edges that its energy gives."""
    audio = audio - audio.mean()
    level = 10 * np.log10(np.convolve(audio.astype(np.float64) ** 2, np.full(320, 1 / 320), "same") + 1e-12)
    loud = np.flatnonzero(level > level.max() - TRUTH_DB)
    begin, end = int(loud[0]), int(loud[-1]) + 1
    start, stop = max(0, begin - 1600), min(len(audio), end + 1600)
    return Word(faded(audio[start:stop]), begin - start, end - start, text, voice)


def faded(audio: Audio, seconds: float = 0.02) -> Audio:
    """Return audio that rises from nothing and falls to it."""
    n = min(round(seconds * RATE), len(audio) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    audio = audio.copy()
    audio[:n] *= ramp
    audio[len(audio) - n :] *= ramp[::-1]
    return audio


def decibels(random: Random, low: float, high: float) -> float:
    """Return a factor drawn evenly in dB."""
    return float(10 ** (random.uniform(low, high) / 20))


def at_peak(audio: Audio, peak: float) -> Audio:
    """Return audio whose largest sample is `peak`."""
    return audio * np.float32(peak / np.abs(audio).max())


def at_rms(audio: Audio, rms: float) -> Audio:
    """Return audio of this RMS."""
    return audio * np.float32(rms / np.sqrt(power(audio)))


def hum(random: Random, n: int) -> Audio:
    """Mains hum of 50 or 60 Hz with harmonics that fall off as they like."""
    mains = random.choice([50, 60]) * random.uniform(0.998, 1.002)
    t = np.arange(n) / RATE
    orders = np.arange(1, 21)
    size = orders ** -random.uniform(0.3, 1.5) * random.uniform(0.1, 1, len(orders))
    waves = np.sin(2 * np.pi * mains * np.outer(orders, t) + random.uniform(0, 7, (len(orders), 1)))
    return (size @ waves).astype(np.float32)


def rumble(random: Random, n: int) -> Audio:
    """Traffic, wind on the microphone: noise below 80 Hz that swells and falls."""
    slow = np.interp(
        np.arange(n), np.arange(0, n + 4000, 4000), random.uniform(0.3, 1, len(range(0, n + 4000, 4000)))
    )
    sos = butter(4, [15, random.uniform(50, 90)], "band", fs=RATE, output="sos")
    return (sosfilt(sos, random.standard_normal(n)) * slow).astype(np.float32)


def click(random: Random) -> Audio:
    """A key or a mouse button: pressed, and let go a little later."""
    t = np.arange(round(random.uniform(0.005, 0.03) * RATE)) / RATE

    def stroke() -> Audio:
        ring = np.sin(2 * np.pi * random.uniform(800, 5000) * t) + random.standard_normal(len(t))
        return (ring * np.exp(-t / (t[-1] / 5))).astype(np.float32)

    pause = np.zeros(round(random.uniform(0.06, 0.16) * RATE), np.float32)
    return np.concatenate([stroke(), pause, stroke() * np.float32(random.uniform(0.2, 0.9))])


def keys(random: Random) -> Audio:
    """A few keys, one after the other."""
    gaps = (np.zeros(round(random.uniform(0.05, 0.2) * RATE), np.float32) for _ in range(9))
    return np.concatenate(
        [part for gap in list(gaps)[: random.integers(2, 5)] for part in (click(random), gap)]
    )


def bump(random: Random) -> Audio:
    """A knock on the desk: about 60 Hz, with a tick where the hand meets it."""
    t = np.arange(round(0.5 * RATE)) / RATE
    wave = np.sin(2 * np.pi * random.uniform(45, 90) * t) * np.exp(-t / random.uniform(0.03, 0.12))
    tick = random.standard_normal(len(t)) * np.exp(-t / 0.004) * random.uniform(0, 0.2)
    return (wave + tick).astype(np.float32)


def thump(random: Random) -> Audio:
    """A microphone that is switched on: a step that dies away."""
    t = np.arange(round(1.0 * RATE)) / RATE
    wave = np.exp(-t / random.uniform(0.02, 0.15)) * np.cos(2 * np.pi * random.uniform(0, 12) * t)
    return (wave * random.choice([-1, 1])).astype(np.float32)


def breath(random: Random) -> Audio:
    """Air: a band of noise that comes and goes."""
    n = round(random.uniform(0.5, 0.9) * RATE)
    low = random.uniform(300, 800)
    sos = butter(2, [low, low * random.uniform(4, 9)], "band", fs=RATE, output="sos")
    return (sosfilt(sos, random.standard_normal(n)) * np.hanning(n)).astype(np.float32)


def chair(random: Random) -> Audio:
    """A creak: knocks in uneven succession through wood."""
    n = round(random.uniform(0.3, 1.0) * RATE)
    steps = random.uniform(0.008, 0.06, n // 128 + 2) * RATE
    at = np.cumsum(steps).astype(int)
    at = at[at < n]
    knocks = np.zeros(n)
    knocks[at] = random.uniform(0.2, 1, len(at))
    wood = np.zeros(n)
    for hertz in random.uniform(250, 2500, 3):
        r = np.exp(-np.pi * random.uniform(60, 200) / RATE)
        wood += lfilter([1], [1, -2 * r * np.cos(2 * np.pi * hertz / RATE), r * r], knocks)
    return faded((wood * np.hanning(n)).astype(np.float32))


def lay(random: Random, parts: list[Audio], gaps_s: float) -> tuple[Audio, list[int]]:
    """Lay sounds into 2 to 6 s of silence, in order, at least `gaps_s` apart; return where each begins."""
    taken = sum(map(len, parts)) + round(gaps_s * RATE) * (len(parts) - 1)
    total = max(round(random.uniform(2, 6) * RATE), taken + round(0.3 * RATE))
    cuts = np.sort(random.integers(0, total - taken + 1, len(parts)))
    audio, starts, done = np.zeros(total, np.float32), [], 0
    for part, cut in zip(parts, cuts, strict=True):
        starts.append(int(cut) + done)
        audio[starts[-1] : starts[-1] + len(part)] += part
        done += len(part) + round(gaps_s * RATE)
    return audio, starts


class Noises:
    """What is heard apart from a word: half of each file of noise, and half of all words.

    The two halves of the bench share nothing.
    """

    def __init__(self, half: int, words: list[Word]) -> None:
        self.words = words
        folder = SHARED / "real/noise"
        files = [p for p in audio_files(folder) if "miaow" not in p.name] if folder.is_dir() else []
        files += [
            SEEDS / "FONDO" / name for name in ("000_ventilador.ogg", "003_lluvia.ogg", "004_motor.ogg")
        ]
        self.real, self.steady = (
            [audio[half * len(audio) // 2 :][: len(audio) // 2] for audio in map(self._read, some)]
            for some in (files[:-3], files[-3:])
        )

    @staticmethod
    def _read(path: Path) -> Audio:
        return read_audio(path, RATE)

    def recorded(self, random: Random, n: int) -> Audio:
        """Return n samples of noise that people recorded, with what happens in it."""
        return self._cut(random, self.real or self.steady, n)

    def even(self, random: Random, n: int) -> Audio:
        """Return n samples of noise that does not change."""
        if random.random() < 0.5:
            return coloured(n, float(random.choice([0, 3, 5])), RATE, int(random.integers(2**31)))
        return self._cut(random, self.steady, n)

    @staticmethod
    def _cut(random: Random, files: list[Audio], n: int) -> Audio:
        audio = files[random.integers(len(files))]
        return np.resize(np.roll(audio, -int(random.integers(len(audio)))), n)


def one_sound(
    make: Callable[[Random], Audio], low: float, high: float, n_most: int = 1
) -> Callable[..., Scene]:
    """Return a maker of scenes with one to `n_most` sounds apart from the word, in dB of its peak."""

    def scene(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
        n = random.integers(1, n_most + 1)
        sounds = [at_peak(make(random), word.peak * decibels(random, low, high)) for _ in range(n)]
        place = random.integers(n + 1)
        audio, starts = lay(random, [*sounds[:place], word.audio, *sounds[place:]], 0.15)
        return quiet(random, word, audio, [starts[place]])

    return scene


def under_all(make: Callable[[Random, int], Audio], low: float, high: float) -> Callable[..., Scene]:
    """Return a maker of scenes with noise from begin to end, so many dB under the RMS of the word."""

    def scene(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
        audio, starts = lay(random, [word.audio], 0)
        noise = at_rms(make(random, len(audio)), word.rms / decibels(random, low, high))
        return quiet(random, word, audio + noise, starts)

    return scene


def recorded(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """Noise as it is where people are, 10 to 20 dB under the word."""
    return under_all(noises.recorded, 10, 20)(random, word, others, noises)


def even(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """Noise that does not change, 10 to 20 dB under the word."""
    return under_all(noises.even, 10, 20)(random, word, others, noises)


def offset(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """A converter whose zero is none."""
    audio, starts = lay(random, [word.audio], 0)
    shift = word.peak * decibels(random, -20, 0) * random.choice([-1, 1])
    return quiet(random, word, audio + np.float32(shift), starts)


def switched_on(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """A thump at the very begin."""
    audio, starts = lay(random, [word.audio], 0)
    audio = np.concatenate([np.zeros(round(0.4 * RATE), np.float32), audio])
    wave = at_peak(thump(random), word.peak * decibels(random, 0, 15))[: len(audio)]
    audio[: len(wave)] += wave
    return quiet(random, word, audio, [starts[0] + round(0.4 * RATE)])


def alone(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """Nothing disturbs."""
    audio, starts = lay(random, [word.audio], 0)
    return quiet(random, word, audio, starts)


def second_voice(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """Somebody else says something farther away."""
    other = others[random.integers(len(others))]
    distant = other.audio * np.float32(word.rms / other.rms / decibels(random, 6, 18))
    parts = [distant, word.audio] if random.random() < 0.5 else [word.audio, distant]
    audio, starts = lay(random, parts, 0.3)
    return quiet(random, word, audio, [starts[1 if parts[0] is distant else 0]])


def other_word(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """Another word, by the same voice where it said one, and about as loud."""
    own = [other for other in noises.words if other.voice == word.voice and other.text != word.text]
    other = (own or others)[random.integers(len(own or others))]
    second = other.audio * np.float32(word.rms / other.rms * decibels(random, -3, 3))
    audio, starts = lay(random, [word.audio, second], 0.5)
    truth = tuple((s + w.begin, s + w.end) for s, w in zip(starts, (word, other), strict=True))
    return Scene(quiet(random, word, audio, starts[:1]).audio, truth, alike=True)


def no_word(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """Whatever disturbs, or noise, and nobody speaks."""
    kind = random.integers(8)
    if kind == 0:
        audio = noises.even(random, round(random.uniform(2, 6) * RATE))
        return Scene(at_rms(audio, word.rms), ())
    make = (click, keys, bump, thump, breath, lambda r: hum(r, 3 * RATE), lambda r: rumble(r, 3 * RATE))[
        kind - 1
    ]
    audio, _ = lay(random, [at_peak(make(random), word.peak)], 0)
    return quiet(random, word, audio, [])


def takes(random: Random, word: Word, others: list[Word], noises: Noises) -> Scene:
    """The word twice or three times, a little faster or slower and at another level each time."""
    parts, inner = [], []
    for _ in range(random.integers(2, 4)):
        speed, gain = random.uniform(0.95, 1.05), np.float32(decibels(random, -3, 3))
        at = np.arange(0, len(word.audio) - 1, speed)
        parts.append(np.interp(at, np.arange(len(word.audio)), word.audio).astype(np.float32) * gain)
        inner.append((word.begin / speed, word.end / speed))
    audio, starts = lay(random, parts, 0.5)
    scene = quiet(random, word, audio, starts)
    truth = tuple((s + round(a), s + round(b)) for s, (a, b) in zip(starts, inner, strict=True))
    return Scene(scene.audio, truth)


def quiet(random: Random, word: Word, audio: Audio, starts: list[int]) -> Scene:
    """Add the noise of a quiet room, 25 to 50 dB under the word, and say where the word is."""
    noise = coloured(len(audio), float(random.uniform(0, 4)), RATE, int(random.integers(2**31)))
    audio = audio + at_rms(noise, word.rms / decibels(random, 25, 50))
    return Scene(audio, tuple((s + word.begin, s + word.end) for s in starts))


SCENES: dict[str, Callable[[Random, Word, list[Word], Noises], Scene]] = {
    "alone": alone,
    "offset": offset,
    "hum": under_all(hum, 0, 20),
    "rumble": under_all(rumble, -10, 10),
    "click": one_sound(click, -10, 10, 3),
    "keys": one_sound(keys, -10, 5),
    "bump": one_sound(bump, 0, 15),
    "thump": switched_on,
    "breath": one_sound(breath, -20, -6),
    "chair": one_sound(chair, -15, 0),
    "second_voice": second_voice,
    "other_word": other_word,
    "no_word": no_word,
    "takes": takes,
    "steady": even,
    "recorded": recorded,
}


def scenes(half: int, seed: int = 0) -> Iterator[tuple[str, Scene]]:
    """Yield each kind of scene with each word of one half, at one level after the other."""
    some = words()[half::2]
    noises = Noises(half, some)
    for kind, make in SCENES.items():
        for index, word in enumerate(some):
            for peak_dbfs in PEAKS_DBFS:
                random = np.random.default_rng([seed, half, index, len(kind), ord(kind[0]), -peak_dbfs])
                others = [w for w in some if w.voice != word.voice and w.text != word.text]
                made = make(random, word, others, noises)
                # the word at its level, and what is louder clips
                gain = 10 ** (peak_dbfs / 20) / word.peak
                yield kind, replace(made, audio=np.clip(made.audio * np.float32(gain), -1, 1))


@dataclass(frozen=True)
class Result:
    """How one scene ended."""

    right: bool
    edges: bool
    silent: bool
    """another sound was taken and nobody said so"""


def judged(scene: Scene, found: tuple[slice, ...], doubts: tuple[str, ...]) -> Result:
    """Compare what was found with the truth: right is one for each word, more of it than of anything else.

    Where two words could be meant it is right to ask.
    """
    if scene.alike:
        right = bool(doubts) and all(any(overlap(f, t) > 0.5 for t in scene.truth) for f in found)
        return Result(right, right, not doubts)
    pairs = list(zip(found, scene.truth, strict=False))
    right = len(found) == len(scene.truth) and all(overlap(f, t) > 0.5 for f, t in pairs)
    edges = right and all(max(abs(f.start - t[0]), abs(f.stop - t[1])) <= EDGE_S * RATE for f, t in pairs)
    silent = not doubts and any(all(overlap(f, t) <= 0.5 for t in scene.truth) for f in found)
    return Result(right, edges, silent)


def overlap(found: slice, truth: Truth) -> float:
    """Return what two stretches share, as a share of what they cover together."""
    shared = min(found.stop, truth[1]) - max(found.start, truth[0])
    return max(0, shared) / (max(found.stop, truth[1]) - min(found.start, truth[0]))


def report(name: str, value: float, unit: str, baseline: float) -> None:
    """Print one JSON object."""
    row = {"name": name, "value": round(value, 4), "unit": unit, "baseline": round(baseline, 4)}
    print(json.dumps(row | {"ratio": round(value / baseline, 3) if baseline else None}), flush=True)


def share(results: list[Result], what: str) -> float:
    """Return the share of the results of which `what` is true."""
    return float(np.mean([getattr(result, what) for result in results]))


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choose", action="store_true", help="the half on which thresholds are chosen")
    half = 0 if parser.parse_args().choose else 1
    ours: defaultdict[str, list[Result]] = defaultdict(list)
    plain: defaultdict[str, list[Result]] = defaultdict(list)
    for kind, scene in scenes(half):
        finding = search(scene.audio, RATE, LONGEST_S)
        for name in (kind, "all"):
            ours[name].append(judged(scene, finding.takes, finding.doubts))
            plain[name].append(judged(scene, (loudest(scene.audio, RATE, LONGEST_S),), ()))
    for name in ours:
        for what in ("right", "edges", "silent"):
            report(f"{what}_{name}", share(ours[name], what), "share", share(plain[name], what))
    report("scenes", len(ours["all"]), "", len(plain["all"]))
    if phrases := precise():
        found = [search(audio, RATE, LONGEST_S).takes for audio in phrases]
        before = [(loudest(audio, RATE, LONGEST_S),) for audio in phrases]
        report(f"refused_or_cut_of_{len(phrases)}_phrases", unfit(found), "share", unfit(before))


def precise() -> list[Audio]:
    """Return recordings of "ey ordenador" by one person, with hum, wind and clipping as recorded."""
    folder = SHARED / "people/bench"
    if not folder.is_dir():
        return []
    audio = read_audio(folder / "precise_es.flac", RATE)
    rows = csv.DictReader((folder / "bench.csv").read_text(encoding="utf-8").splitlines())
    edges = [(float(row["start"]), float(row["end"])) for row in rows if row["set"] == "precise_es"]
    return [audio[round(start * RATE) : round(end * RATE)] for start, end in edges]


def unfit(found: list[tuple[slice, ...]]) -> float:
    """Return the share that gave no phrase, several, less than 0.6 s of it, or more than fits in a clip."""
    fit = [len(takes) == 1 and 0.6 < (takes[0].stop - takes[0].start) / RATE <= LONGEST_S for takes in found]
    return 1 - float(np.mean(fit))


def loudest(audio: Audio, rate: int, longest_s: float) -> slice:
    """The baseline: the utterance of most energy, by two thresholds on the level of each 10 ms."""
    hop, margin = rate // 100, round(0.03 * rate)
    n = len(audio) // hop
    energy = np.mean(np.square(audio[: n * hop].reshape(n, hop), dtype=np.float64), axis=1)
    level = 10 * np.log10(np.convolve(energy, [0.25, 0.5, 0.25], mode="same") + 1e-10)
    floor, peak = float(np.quantile(level, 0.1)), float(level.max())
    high = min(max(peak - 25, floor + 9), peak - 6)
    low = min(max(high - 10, floor + 4), high)
    groups: list[list[Truth]] = []
    for run in stretches(level > high):
        if groups and run[0] - groups[-1][-1][1] <= 25:
            groups[-1].append(run)
        else:
            groups.append([run])
    runs = max(groups, key=lambda group: sum(float(np.sum(10 ** (level[a:b] / 10))) for a, b in group))

    def whole(runs: list[Truth]) -> slice:
        start, stop = runs[0][0], runs[-1][1]
        while start > 0 and level[start - 1] > low:
            start -= 1
        while stop < n and level[stop] > low:
            stop += 1
        return slice(max(0, start * hop - margin), min(len(audio), stop * hop + margin))

    while whole(runs).stop - whole(runs).start > longest_s * rate and len(runs) > 1:
        if runs[0][1] - runs[0][0] <= 10 and runs[1][0] - runs[0][1] >= 8:
            runs = runs[1:]
        elif runs[-1][1] - runs[-1][0] <= 10 and runs[-1][0] - runs[-2][1] >= 8:
            runs = runs[:-1]
        else:
            break
    return whole(runs)


def stretches(flags: np.ndarray) -> list[Truth]:
    """Return where each stretch of True begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


if __name__ == "__main__":
    main()
