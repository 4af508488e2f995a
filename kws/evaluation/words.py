"""Scores of a model on clips with known labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Labels, Logits
from kws.runtime.inference import accuracy, softmax


def score_words(logits: Logits, actual: Labels, labels: list[str]) -> dict[str, Any]:
    """Return n, accuracy, macro F1, recall per label, and confusion[true][predicted] as counts.

    Averages run over the labels that occur in `actual`; a prediction may be any label, but in the accuracy on
    the closed set only one of those that occur: which keyword was it, when it is known to be one?
    """
    predicted = logits.argmax(axis=1)
    present = [int(index) for index in np.unique(actual)]
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (actual, predicted), 1)
    hits, said, heard = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return {
        "n": len(actual),
        "accuracy": accuracy(logits, actual),
        "closed_set_accuracy": float(np.mean(np.array(present)[logits[:, present].argmax(axis=1)] == actual)),
        "macro_f1": float(np.mean((2 * hits / (said + heard).clip(1))[present])),
        "recall": {labels[i]: float(hits[i] / said[i]) for i in present},
        "confusion": {labels[i]: dict(zip(labels, map(int, counts[i]), strict=True)) for i in present},
    }


def accepted(logits: Logits, keywords: list[int]) -> NDArray[np.bool_]:
    """Say of each clip whether its likeliest label is a keyword."""
    return np.isin(logits.argmax(axis=1), keywords)


def thresholds_at_recall(
    words: Logits, actual: Labels, keywords: list[int], recalls: tuple[float, ...]
) -> dict[float, float]:
    """Return the highest threshold at which each recall of words is reached, where one reaches it.

    A word counts as heard if its own keyword is the likeliest keyword and reaches the threshold.
    """
    scores = softmax(words)[:, keywords]
    right = np.array(keywords)[scores.argmax(axis=1)] == actual
    heard = np.sort(scores.max(axis=1)[right])[::-1]
    needed = {recall: int(np.ceil(recall * len(actual))) for recall in recalls}
    return {recall: float(heard[n - 1]) for recall, n in needed.items() if n <= len(heard)}


def share_above(logits: Logits, keywords: list[int], threshold: float) -> float:
    """Return the share of clips in which any keyword's probability reaches the threshold."""
    return float(np.mean(softmax(logits)[:, keywords].max(axis=1) >= threshold))
