"""Score the exported model: reports/evaluation.json and reports/confusion.csv."""

import csv
from pathlib import Path
from typing import Any

from kws.config import load_params
from kws.evalset import load_eval_words, load_near_misses
from kws.evaluate import near_misses_at_recall, score_near_misses, score_words
from kws.files import replacing, write_json
from kws.inference import Classifier, accuracy
from kws.splits import VAL
from stages import paths, run
from stages.data import dataset

RECALLS = (0.5, 0.7, 0.9)
"""Recalls of words at which near misses are compared."""


def main() -> None:
    """Measure validation clips (same source as training), words of unseen voices, and near misses."""
    params = load_params(paths.PARAMS)
    labels, folder, front_end = params.labels, Path(params.data.eval), params.features
    model = Classifier(paths.ONNX)
    val = dataset(params, VAL)
    hits = sum(accuracy(model.logits(x), y) * len(y) for x, y in val.batches(256))
    scores: dict[str, Any] = {"same_source": {"accuracy": hits / len(val)}}
    words = load_eval_words(folder, labels, params.background, front_end)
    near_misses = load_near_misses(folder, labels, params.background, front_end)
    word_logits, miss_logits = model.logits(words.features), model.logits(near_misses.features)
    keywords = [labels.index(keyword) for keyword in params.keywords]
    if len(words):
        scores["words"] = score_words(word_logits, words.labels, labels)
    if len(near_misses):
        scores["near_misses"] = score_near_misses(miss_logits, keywords, params.detector.threshold)
    if len(words) and len(near_misses):
        rates = near_misses_at_recall(word_logits, words.labels, miss_logits, keywords, RECALLS)
        scores["near_misses"]["at_recall"] = rates
    pairs = [(labels[a], labels[p]) for a, p in zip(words.labels, word_logits.argmax(1), strict=True)]
    write_json(paths.EVALUATION, scores)
    with replacing(paths.CONFUSION) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("actual", "predicted"), *pairs])


if __name__ == "__main__":
    run(main)
