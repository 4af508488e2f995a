"""Score the exported model: reports/evaluation.json and reports/confusion.csv."""

import csv
from pathlib import Path
from typing import Any

from kws.config import load_params
from kws.evalset import load_eval_words, load_near_misses
from kws.evaluate import score_near_misses, score_words
from kws.files import replacing, write_json
from kws.inference import Classifier, accuracy
from kws.splits import VAL
from stages import paths, run
from stages.data import dataset


def main() -> None:
    """Measure validation clips (same source as training), words of unseen voices, and near misses."""
    params = load_params(paths.PARAMS)
    labels, folder, front_end = params.labels, Path(params.data.eval), params.features
    model = Classifier(paths.ONNX)
    val = dataset(params, VAL)
    hits = sum(accuracy(model.logits(x), y) * len(y) for x, y in val.batches(256))
    scores: dict[str, Any] = {"same_source": {"accuracy": hits / len(val)}}
    pairs: list[tuple[str, str]] = []
    if len(words := load_eval_words(folder, labels, params.background, front_end)):
        logits = model.logits(words.features)
        scores["words"] = score_words(logits, words.labels, labels)
        predicted = zip(words.labels, logits.argmax(1), strict=True)
        pairs = [(labels[actual], labels[guess]) for actual, guess in predicted]
    if len(near_misses := load_near_misses(folder, labels, params.background, front_end)):
        keywords = [labels.index(keyword) for keyword in params.keywords]
        logits = model.logits(near_misses.features)
        scores["near_misses"] = score_near_misses(logits, keywords, params.detector.threshold)
    write_json(paths.EVALUATION, scores)
    with replacing(paths.CONFUSION) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("actual", "predicted"), *pairs])


if __name__ == "__main__":
    run(main)
