"""Scores of a model on clips with known labels."""

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from kws.inference import accuracy, softmax
from kws.types import Labels, Logits


def score_words(logits: Logits, actual: Labels, labels: list[str]) -> dict[str, Any]:
    """Return n, accuracy, macro F1, recall per label, and confusion[true][predicted] as counts.

    Averages run over the labels that occur in `actual`; a prediction may be any label.
    """
    predicted = logits.argmax(axis=1)
    present = [int(index) for index in np.unique(actual)]
    recall = recall_score(actual, predicted, labels=present, average=None, zero_division=0)
    counts = confusion_matrix(actual, predicted, labels=range(len(labels)))
    return {
        "n": len(actual),
        "accuracy": accuracy(logits, actual),
        "macro_f1": float(f1_score(actual, predicted, labels=present, average="macro", zero_division=0)),
        "recall": {labels[i]: float(r) for i, r in zip(present, recall, strict=True)},
        "confusion": {labels[i]: dict(zip(labels, map(int, counts[i]), strict=True)) for i in present},
    }


def score_near_misses(logits: Logits, keywords: list[int], threshold: float) -> dict[str, Any]:
    """Return n and the share of clips in which any keyword's probability reaches the threshold."""
    best = softmax(logits)[:, keywords].max(axis=1)
    return {"n": len(best), "false_accept_rate": float(np.mean(best >= threshold))}


def near_misses_at_recall(
    words: Logits, actual: Labels, near_misses: Logits, keywords: list[int], recalls: tuple[float, ...]
) -> dict[str, float]:
    """Return the share of near misses accepted at the highest threshold that reaches each recall of words.

    Models with different thresholds compare at equal recall. A word counts as heard if its own keyword is the
    likeliest keyword and reaches the threshold; recalls that no threshold reaches are left out.
    """
    scores, miss_scores = softmax(words)[:, keywords], softmax(near_misses)[:, keywords].max(axis=1)
    right = np.array(keywords)[scores.argmax(axis=1)] == actual
    heard = np.sort(scores.max(axis=1)[right])[::-1]
    needed = {f"{recall:g}": int(np.ceil(recall * len(actual))) for recall in recalls}
    return {
        name: float(np.mean(miss_scores >= heard[n - 1])) for name, n in needed.items() if n <= len(heard)
    }
