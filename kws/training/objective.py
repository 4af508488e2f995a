"""What training minimises and how fast it goes about it, whatever loop it runs in."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kws.common.types import Labels
from kws.params.sections import Train

VALIDATED = 256
"""Clips in a batch of validation."""


@dataclass(frozen=True)
class Epoch:
    """One row of the training curves: the loss that is minimised, and plain cross-entropy in validation."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float

    def told(self, clips_per_s: float) -> str:
        """Return it in a line for a terminal or a log."""
        train, val = (
            f"{self.train_loss:.4f} {self.train_accuracy:.3f}",
            f"{self.val_loss:.4f} {self.val_accuracy:.3f}",
        )
        return f"epoch {self.epoch:3} · train {train} · val {val} · {clips_per_s:.0f} clips/s"


class Cost(nn.Module):
    """The loss that training minimises: cross-entropy in which each keyword's own logit lacks the margin."""

    def __init__(self, cfg: Train, labels: Labels, background: int) -> None:
        """Weigh labels by how often they occur in `labels`; the margin does not apply to `background`."""
        super().__init__()
        weight = balanced(labels) if cfg.class_weights == "balanced" else None
        self.loss = nn.CrossEntropyLoss(weight, label_smoothing=cfg.label_smoothing)
        self.margin, self.background = cfg.margin, background

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over logits [n, labels] and labels int64 [n]."""
        handicap = self.margin * (labels != self.background).to(logits.dtype)
        loss: Tensor = self.loss(logits.scatter_add(1, labels[:, None], -handicap[:, None]), labels)
        return loss


def factor(step: int, steps: int, cfg: Train) -> float:
    """Return the share of `train.lr` at a step: a straight rise, then half a cosine to 0, or constant."""
    rise = cfg.warmup_share * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    if cfg.schedule == "constant":
        return 1.0
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def balanced(labels: Labels) -> Tensor:
    """Return weights [labels] float32 under which all labels count the same, 1 on average over the clips."""
    counts = np.maximum(np.bincount(labels), 1)
    return torch.tensor(len(labels) / len(counts) / counts, dtype=torch.float32)
