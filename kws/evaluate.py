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
