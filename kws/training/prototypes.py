"""Fitting prototypes to what a frozen encoder heard: a loop of seconds, without what large networks need.

The same steps as `kws.training.loop` takes, on the CPU and in one process.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim.adam import adam

from kws.common.files import replacing
from kws.models.encoder import Encoder
from kws.params.sections import Train
from kws.training.batches import Batches
from kws.training.best import Best, Fit, OnEpoch
from kws.training.dataset import Dataset
from kws.training.objective import VALIDATED, Cost, Epoch, factor
from kws.training.resume import readable
from kws.training.transfer import place_prototypes, prototypes_alone


def fit_prototypes(
    network: Encoder,
    train: Dataset,
    val: Dataset,
    cfg: Train,
    seed: int,
    background: int,
    on_epoch: OnEpoch = lambda *_: None,
    resume: Path | None = None,
) -> Fit:
    """Place prototypes among the directions of `train` and fit them, or go on from the file `resume`.

    The result is the same to the bit, resumed or not; `resume` is written every epoch.
    """
    place_prototypes(network, train, background)
    head, cost = prototypes_alone(network), Cost(cfg, train.labels, background)
    optimiser = Adam(head, cfg.weight_decay)
    best, batches = Best(cfg), Batches(train, cfg.batch_size, seed)
    if resume and readable(resume):
        _restore(resume, best, head, optimiser)
    best.go_on(on_epoch)
    while len(best.rows) < cfg.epochs and not best.waited_enough():
        batches.epoch = len(best.rows) + 1
        begin = time.perf_counter()
        trained = _mean(_steps(head, cost, optimiser, batches, cfg))
        seconds = time.perf_counter() - begin
        row = Epoch(batches.epoch, *trained, *_mean(_validate(head, Batches(val, VALIDATED))))
        best.judge(row, head)
        print(row.told(len(train) / seconds), flush=True)
        on_epoch(best.rows, best.row)
        if resume:
            with replacing(resume) as partial:
                torch.save(_state(best, head, optimiser), partial)
    return Fit(best.weights, best.rows)


class Adam:
    """AdamW of Loshchilov and Hutter (arXiv:1711.05101) with torch's defaults, to the bit as torch's own.

    That one loads torch's compiler, which takes longer than the whole training.
    """

    def __init__(self, network: nn.Module, weight_decay: float) -> None:
        """Start at zero for each parameter that is trained."""
        self.weight_decay = weight_decay
        self.trained: list[Tensor] = [
            parameter for parameter in network.parameters() if parameter.requires_grad
        ]
        self.means, self.squares = ([torch.zeros_like(p) for p in self.trained] for _ in range(2))
        self.steps = [torch.zeros(()) for _ in self.trained]

    def step(self, lr: float) -> None:
        """Change the parameters by their gradients, and forget these."""
        with torch.no_grad():
            adam(
                self.trained,
                [parameter.grad for parameter in self.trained if parameter.grad is not None],
                self.means,
                self.squares,
                [],
                self.steps,
                fused=True,
                decoupled_weight_decay=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=lr,
                weight_decay=self.weight_decay,
                eps=1e-8,
                maximize=False,
            )
        for parameter in self.trained:
            parameter.grad = None

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return what is kept from one step to the next."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from where another one was."""
        self.means, self.squares, self.steps = state["means"], state["squares"], state["steps"]


Seen = tuple[Tensor, Tensor]
"""The loss of a batch, and for each of its clips whether it was right, float32 [n]."""


def _steps(head: nn.Module, cost: Cost, optimiser: Adam, batches: Batches, cfg: Train) -> Iterator[Seen]:
    """Take one step a batch."""
    n = len(batches)
    for step, (directions, labels) in enumerate(batches, (batches.epoch - 1) * n):
        logits = head(directions)
        loss = cost(logits, labels)
        loss.backward()
        if cfg.clip_norm:
            clip_grad_norm_(head.parameters(), cfg.clip_norm)
        optimiser.step(cfg.lr * factor(step, cfg.epochs * n, cfg))
        yield loss.detach(), _right(logits, labels)


def _validate(head: nn.Module, batches: Batches) -> Iterator[Seen]:
    """Yield plain cross-entropy, whatever training minimises."""
    with torch.inference_mode():
        for directions, labels in batches:
            logits = head(directions)
            yield cross_entropy(logits, labels), _right(logits, labels)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).float()


def _mean(seen: Iterator[Seen]) -> tuple[float, float]:
    """Return the mean loss of batches and the accuracy of clips, summed in float32 as in `Task`."""
    loss, right, batches, clips = torch.zeros(()), torch.zeros(()), 0, 0
    for of_batch, of_clips in seen:
        loss, right = loss + of_batch, right + of_clips.sum()
        batches, clips = batches + 1, clips + len(of_clips)
    return round(float(loss / batches), 6), round(float(right / clips), 6)


def _state(best: Best, head: nn.Module, optimiser: Adam) -> dict[str, Any]:
    return {"best": best.state_dict(), "head": head.state_dict(), "optimiser": optimiser.state_dict()}


def _restore(path: Path, best: Best, head: nn.Module, optimiser: Adam) -> None:
    state = torch.load(path, map_location="cpu", weights_only=True)
    best.load_state_dict(state["best"])
    head.load_state_dict(state["head"])
    optimiser.load_state_dict(state["optimiser"])
