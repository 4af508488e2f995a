"""The table of docs/augmentation.md, of experiments in this repository: `python -m docs.ablation NAME…`."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from dvc.api import DVCFileSystem

from kws.audio import audio_files, read_audio
from kws.config import load_params
from kws.evalset import FLOOR, EvalSet, load_eval_words, load_near_misses
from kws.evaluate import near_misses_at_recall, score_near_misses
from kws.features import FrontEnd, features
from kws.inference import Classifier, softmax
from kws.seeding import rng
from kws.types import Features

RECALLS = (0.5, 0.7, 0.9)
STEP_S = 0.25


def talk_windows(folder: Path, front_end: FrontEnd) -> tuple[Features, np.ndarray, float]:
    """Return the windows of speech without keywords, when each begins, and how many hours they cover."""
    rate, n = front_end.sample_rate, front_end.clip_samples
    windows, times, begin = [], [], 0.0
    for path in audio_files(folder):
        audio = read_audio(path, rate)
        audio = audio + FLOOR * rng(0, path.name, 0).standard_normal(len(audio), dtype=np.float32)
        for start in range(0, len(audio) - n, round(STEP_S * rate)):
            windows.append(features(audio[start : start + n], front_end))
            times.append(begin + start / rate)
        begin += len(audio) / rate + 1
    return np.stack(windows)[:, None], np.array(times), len(windows) * STEP_S / 3600


def accepts(scores: np.ndarray, times: np.ndarray, threshold: float) -> int:
    """Return how often a score reaches the threshold, at most once a second."""
    count, last = 0, -np.inf
    for time in times[scores >= threshold]:
        if time - last >= 1:
            count, last = count + 1, time
    return count


def row(model: Classifier, words: EvalSet, misses: EvalSet, talk: tuple, keywords: list[int]) -> list[str]:
    """Return the cells of one experiment."""
    windows, times, hours = talk
    word_logits, miss_logits = model.logits(words.features), model.logits(misses.features)
    rates = near_misses_at_recall(word_logits, words.labels, miss_logits, keywords, RECALLS)
    scores = softmax(word_logits)[:, keywords]
    right = np.array(keywords)[scores.argmax(axis=1)] == words.labels
    heard = np.sort(scores.max(axis=1)[right])[::-1]
    talk_scores = softmax(model.logits(windows))[:, keywords].max(axis=1)
    cells = [f"{np.mean(word_logits.argmax(axis=1) == words.labels):.0%}"]
    cells.append(f"{score_near_misses(miss_logits, keywords, 0.5)['false_accept_rate']:.0%}")
    cells += [f"{rates[f'{r:g}']:.1%}" if f"{r:g}" in rates else "never" for r in RECALLS]
    for recall in RECALLS:
        n = int(np.ceil(recall * len(words)))
        reached = n <= len(heard)
        cells.append(f"{accepts(talk_scores, times, heard[n - 1]) / hours:.0f}" if reached else "never")
    return cells


def main(names: list[str]) -> None:
    """Print a row of the table for each named experiment, with the models that DVC remembers of them."""
    params = load_params(Path("params.yaml"))
    where = (Path(params.data.eval), params.labels, params.background, params.features)
    words, misses = load_eval_words(*where), load_near_misses(*where)
    talk = talk_windows(Path(params.data.eval) / "talk", params.features)
    keywords = [params.labels.index(keyword) for keyword in params.keywords]
    for name in names:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "kws.onnx"
            DVCFileSystem(rev=name).get_file("models/kws.onnx", path)
            print(
                "|",
                " | ".join([name, *row(Classifier(path), words, misses, talk, keywords)]),
                "|",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
