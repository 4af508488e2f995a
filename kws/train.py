"""Fitting a network to the training split, keeping the weights with the best validation loss."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from kws.config import Train
from kws.dataset import Dataset
from kws.seeding import rng


@dataclass(frozen=True)
class Epoch:
    """One row of the training curves."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class Fit:
    """The best weights and the curves that led to them."""

    state: dict[str, Any]
    epochs: list[Epoch]


def fit(
    model: nn.Module, train: Dataset, val: Dataset, cfg: Train, seed: int, on_epoch: Callable[[Epoch], None]
) -> Fit:
    """Train with Adam and cross-entropy; `on_epoch` is called with each row of the curves as it is known."""
    torch.set_deterministic_debug_mode("error")
    optimiser = torch.optim.Adam(model.parameters(), cfg.lr)
    steps = cfg.epochs * -(-len(train) // cfg.batch_size)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps) if cfg.schedule == "cosine" else None
    best, best_loss, waited, epochs = copy.deepcopy(model.state_dict()), float("inf"), 0, list[Epoch]()
    for number in range(1, cfg.epochs + 1):
        model.train()
        loss_sum, hits = 0.0, 0
        for features, labels in train.batches(
            cfg.batch_size, rng(seed, "shuffle", number).permutation(len(train))
        ):
            targets = torch.from_numpy(labels)
            logits = model(torch.from_numpy(features))
            loss = cross_entropy(logits, targets)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if decay:
                decay.step()
            loss_sum += loss.item() * len(labels)
            hits += int((logits.argmax(1) == targets).sum())
        val_loss, val_accuracy = validate(model, val)
        epochs.append(Epoch(number, loss_sum / len(train), hits / len(train), val_loss, val_accuracy))
        waited += 1
        if val_loss < best_loss - cfg.min_delta:
            best, best_loss, waited = copy.deepcopy(model.state_dict()), val_loss, 0
        on_epoch(epochs[-1])
        if cfg.patience and waited >= cfg.patience:
            break
    return Fit(best, epochs)


def validate(model: nn.Module, val: Dataset) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy over a split."""
    model.eval()
    loss_sum, hits = 0.0, 0
    with torch.inference_mode():
        for features, labels in val.batches(256):
            targets = torch.from_numpy(labels)
            logits = model(torch.from_numpy(features))
            loss_sum += cross_entropy(logits, targets, reduction="sum").item()
            hits += int((logits.argmax(1) == targets).sum())
    return loss_sum / len(val), hits / len(val)
