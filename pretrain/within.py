"""What is the same in all voices: directions in which the clips of a word differ alike.

Hatch, Kajarekar and Stolcke, "Within-class Covariance Normalization for SVM-based Speaker Recognition",
Interspeech 2006; there a class is a speaker, here it is a word.
"""

import torch
from torch import Tensor

RIDGE = 0.1
"""Of the mean variance, added to all directions."""


def within_class(heard: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the projection of clips [n, embedding], of which each says a word [n]."""
    apart = heard - class_means(heard, words)[words]
    variances, axes = torch.linalg.eigh(apart.T @ apart / len(apart))
    weight = axes @ torch.diag((variances + RIDGE * variances.mean()) ** -0.5) @ axes.T
    return weight, -weight @ heard.mean(0)


def class_means(heard: Tensor, words: Tensor) -> Tensor:
    """Return the mean [words, embedding] of the clips of each word."""
    counts = torch.bincount(words)[:, None]
    return torch.zeros(len(counts), heard.shape[1]).index_add_(0, words, heard) / counts
