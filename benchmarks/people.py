"""How well encoders know words of people: one recording a word by one of them, all others are to be heard.

`python -m benchmarks.people FOLDER… --encoder FILE`: each folder holds `<word>/<speaker>[_take].*` or
`<word>_<speaker>[_take].*`, or a bank: a table `*.csv` with `file,start,end,word,speaker` (and `set`).
Nothing is augmented or trained: a clip is the word whose recording is nearest by cosine. Each speaker who
said all words is the source once; where at most one did, SOURCES draws are, by whoever said a word.

closed: which word is it. at_1, at_5: half of the words are keywords, drawn DRAWS times; the share of their
clips that are right and nearer than all but 1 % or 5 % of the clips of other words. ten_at_1: the same from
ten recordings by ten people. moved: cosine of a clip with itself, moved by up to 200 ms.

An encoder is an `encoder.pt`, an `encoder.onnx` (a former one, as the pipeline exported it),
EfficientWord-Net's ONNX file, or two of them joined by `+`, which get half of the cosine each. `--half
choose` takes every other speaker, to choose by, `--half report` the others. The baseline is the first
encoder.
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kws.common.types import Audio, Directions, Features
from kws.features.logmel import FrontEnd, features
from kws.models.encoder import Encoder
from kws.params.whole import load_params
from kws.recordings.audio import audio_files, read_audio
from kws.recordings.word import find_word
from kws.runtime.inference import Classifier, Session, cpu_session
from kws.training.transfer import for_features, load_encoder
from pretrain import wordnet
from pretrain.teach import unit

ROOT = Path(__file__).parent.parent
RATE, BATCH = 16000, 32
LONGEST_S = 1.2
SECONDS = 2.0
"""Kept around the middle of a word, for encoders to take their clips from."""
FLOOR_DB = 60
"""Noise lies so far under the peak of a word: no microphone is silent, as the ends of many a file are."""
DRAWS, SOURCES, TEN = 6, 30, 10
SHORT_S = 0.4
"""A word whose recordings are no longer on average is a short one."""
MOVES_MS = (-200, -100, 100, 200)
HALVES = ("choose", "report")

Hear = Callable[[Audio], Directions]
"""float32 [clips, samples of SECONDS] to directions of length 1."""
Source = list[NDArray[np.intp]]
"""The clips that each word is known by."""


@dataclass(frozen=True)
class Set:
    """Words of people, in clips."""

    name: str
    audio: Audio
    """[clips, samples of SECONDS]"""
    seconds: NDArray[np.float64]
    """how long each word is"""
    words: NDArray[np.intp]
    speakers: NDArray[np.intp]

    @property
    def n_words(self) -> int:
        """How many words there are."""
        return int(self.words.max()) + 1


def read_sets(folder: Path, half: str | None) -> list[Set]:
    """Return the sets of a folder with at least two words and two speakers."""
    rows: defaultdict[str, list[tuple[str, str, Audio]]] = defaultdict(list)
    for name, word, speaker, audio in read_clips(folder):
        rows[name].append((word, speaker, audio))
    found = []
    for name, clips in rows.items():
        speakers = sorted({speaker for _, speaker, _ in clips})
        kept = set(speakers[HALVES.index(half) :: 2] if half else speakers)
        chosen = [clip for clip in clips if clip[1] in kept]
        words = sorted({word for word, _, _ in chosen})
        if len(words) > 1 and len(kept) > 1:
            cut = [_cut(audio) for _, _, audio in chosen]
            found.append(
                Set(
                    name,
                    np.stack([clip for clip, _ in cut]),
                    np.array([seconds for _, seconds in cut]),
                    np.array([words.index(word) for word, _, _ in chosen]),
                    np.array([speakers.index(speaker) for _, speaker, _ in chosen]),
                )
            )
    return found


def read_clips(folder: Path) -> Iterator[tuple[str, str, str, Audio]]:
    """Yield set, word, speaker and sound of all that a folder holds."""
    tables = sorted(folder.glob("*.csv"))
    return _banked(tables[0]) if tables else _files(folder)


def _banked(table: Path) -> Iterator[tuple[str, str, str, Audio]]:
    banks: dict[str, Audio] = {}
    with table.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["file"]
            if name not in banks:
                banks[name] = read_audio(table.parent / name, RATE)
            span = slice(*(round(float(row[edge]) * RATE) for edge in ("start", "end")))
            yield row.get("set", table.stem), row["word"], row["speaker"], banks[name][span]


def _files(folder: Path) -> Iterator[tuple[str, str, str, Audio]]:
    for path in audio_files(folder):
        stem = path.stem if path.parent != folder else path.stem.partition("_")[2]
        word = path.parent.name if path.parent != folder else path.stem.partition("_")[0]
        yield folder.name, word, re.sub(r"_\d+$", "", stem), read_audio(path, RATE)


def _cut(audio: Audio) -> tuple[Audio, float]:
    """Return SECONDS around the middle of the word in faint noise, and how long the word is."""
    word = find_word(audio, RATE, LONGEST_S)
    n, middle = round(SECONDS * RATE), (word.start + word.stop) // 2
    noise = np.random.default_rng(0).standard_normal(n, np.float32) * np.abs(audio[word]).max()
    around = np.pad(audio, n // 2)[middle : middle + n] + noise * np.float32(10 ** (-FLOOR_DB / 20))
    return around, (word.stop - word.start) / RATE


def encoder_of(paths: str) -> Hear:
    """Return what hears as the files do that are joined by `+`."""
    parts = [_one(Path(path)) for path in paths.split("+")]

    def hear(audio: Audio) -> Directions:
        joined = np.concatenate([part(audio) for part in parts], axis=1)
        return joined / np.float32(np.sqrt(len(parts)))

    return hear


def _one(path: Path) -> Hear:
    front_end = load_params(ROOT / "params.yaml").features
    if path.suffix == ".pt":
        return partial(_by_encoder, _weights(path, front_end), front_end)
    network = cpu_session(path, threads=0)
    if network.get_inputs()[0].shape[2] == wordnet.FRAMES:
        return partial(_by_wordnet, network)
    return partial(_by_encoder, Classifier(network).logits, front_end)


def _by_wordnet(network: Session, audio: Audio) -> Directions:
    heard = wordnet.hear(network, middle(audio, wordnet.SAMPLES))
    return unit(heard - heard.mean(axis=0))


def _by_encoder(asked: Callable[[Features], Directions], front_end: FrontEnd, audio: Audio) -> Directions:
    clips = middle(audio, front_end.clip_samples)
    return unit(asked(np.stack([features(clip, front_end) for clip in clips])[:, None]))


def _weights(path: Path, front_end: FrontEnd) -> Callable[[Features], Directions]:
    encoder = for_features(load_encoder(path), front_end).network().eval()
    assert isinstance(encoder, Encoder)

    def hear(heard: Features) -> Directions:
        batches = torch.from_numpy(heard).split(BATCH)
        with torch.inference_mode():
            return torch.cat([encoder.embedding(batch) for batch in batches]).numpy()

    return hear


def middle(audio: Audio, n: int) -> Audio:
    """Return n samples around the middle of each clip."""
    start = (audio.shape[1] - n) // 2
    return audio[:, start : start + n]


def sources(data: Set) -> list[Source]:
    """Return the first clip of each word by each speaker who said all, or draws where fewer than two did."""
    of = [
        [np.flatnonzero((data.words == w) & (data.speakers == s)) for w in range(data.n_words)]
        for s in np.unique(data.speakers)
    ]
    whole = [[clips[:1] for clips in words] for words in of if all(len(clips) for clips in words)]
    return whole if len(whole) > 1 else list(drawn(data, 1))


def drawn(data: Set, n: int) -> Iterator[Source]:
    """Yield SOURCES draws of n clips of each word, by the same speakers as far as they said it."""
    for seed in range(SOURCES):
        random = np.random.default_rng(seed)
        turn = random.permutation(data.speakers.max() + 1)[data.speakers]
        source = []
        for word in range(data.n_words):
            clips = random.permutation(np.flatnonzero(data.words == word))
            _, first = np.unique(turn[clips], return_index=True)
            source.append(clips[first[:n]])
        yield source


def cosines(data: Set, directions: Directions, source: Source) -> tuple[Directions, NDArray[np.intp]]:
    """Return which clips are by others than a source, and how near each of them is to each word."""
    known = unit(np.stack([directions[clips].mean(axis=0) for clips in source]))
    others = np.flatnonzero(~np.isin(data.speakers, data.speakers[np.concatenate(source)]))
    return directions[others] @ known.T, others


def open_set(near: Directions, words: NDArray[np.intp], share: float) -> float:
    """Return the share of keyword clips that are right, and nearer than all but so many of other words."""
    return float(np.mean([_open_set(near, words, share, draw) for draw in range(DRAWS)]))


def _open_set(near: Directions, words: NDArray[np.intp], share: float, draw: int) -> float:
    keywords = np.sort(np.random.default_rng(draw).permutation(near.shape[1])[: near.shape[1] // 2])
    best, score = keywords[near[:, keywords].argmax(axis=1)], near[:, keywords].max(axis=1)
    keyword = np.isin(words, keywords)
    least = np.quantile(score[~keyword], 1 - share)
    return float(np.mean((best == words)[keyword] & (score[keyword] > least)))


def moved(hear: Hear, audio: Audio) -> float:
    """Return the mean cosine of clips with themselves, moved by each of MOVES_MS."""
    here = hear(audio)
    shifts = [round(ms * RATE / 1000) for ms in MOVES_MS]
    return float(
        np.mean([np.mean(np.sum(here * hear(np.roll(audio, shift, axis=1)), axis=1)) for shift in shifts])
    )


def figures(data: Set, hear: Hear) -> dict[str, float]:
    """Return all that is printed of a set, by name."""
    directions = hear(data.audio)
    mean_s = np.array([data.seconds[data.words == word].mean() for word in range(data.n_words)])
    rows = []
    for source in sources(data):
        near, others = cosines(data, directions, source)
        words = data.words[others]
        right, short = near.argmax(axis=1) == words, mean_s[words] <= SHORT_S
        row = {
            "closed": np.mean(right),
            "at_1": open_set(near, words, 0.01),
            "at_5": open_set(near, words, 0.05),
        }
        rows.append(row | ({"closed_short": np.mean(right[short])} if short.any() else {}))
    found: dict[str, float] = {}
    for what in rows[0]:
        values = [row[what] for row in rows]
        found |= {what: np.mean(values), f"{what}_sd": np.std(values), f"{what}_worst": np.min(values)}
    if len(np.unique(data.speakers)) > TEN + 1:
        ten = (cosines(data, directions, source) for source in drawn(data, TEN))
        found["ten_at_1"] = np.mean([open_set(near, data.words[others], 0.01) for near, others in ten])
    found["moved"] = moved(hear, data.audio[:: max(1, len(data.audio) // 100)])
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT.parent / "shared/data/people/bench"])
    parser.add_argument("--encoder", action="append", help="data/encoder/encoder.pt without one")
    parser.add_argument("--half", choices=HALVES)
    asked = parser.parse_args()
    encoders = asked.encoder or [str(ROOT / "data/encoder/encoder.pt")]
    if missing := [str(folder) for folder in asked.folders if not folder.is_dir()]:
        parser.error(f"{missing[0]}: no such folder")
    sets = [data for folder in asked.folders for data in read_sets(folder, asked.half)]
    hears = {encoder: encoder_of(encoder) for encoder in encoders}
    for data in sets:
        baseline: dict[str, float] = {}
        for encoder, hear in hears.items():
            found = figures(data, hear)
            baseline = baseline or found
            for what, value in found.items():
                base = baseline[what]
                row = {"name": f"{data.name}_{what}", "value": round(value, 4), "unit": "share"}
                row |= {"baseline": round(base, 4), "ratio": round(value / base, 3) if base else None}
                print(json.dumps(row | {"encoder": encoder}), flush=True)


if __name__ == "__main__":
    main()
