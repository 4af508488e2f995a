"""The curves and the weights of the best epoch, and so when to stop."""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kws.common.errors import UserError
from kws.params.sections import Train
from kws.training.objective import Epoch

OnEpoch = Callable[[list[Epoch], Epoch], None]
"""Called by one process after each epoch: all rows so far, and the one whose weights are kept."""


@dataclass(frozen=True)
class Fit:
    """The best weights and the curves that led to them."""

    state: dict[str, Any]
    epochs: list[Epoch]


class Best:
    """What is kept from epoch to epoch."""

    def __init__(self, cfg: Train) -> None:
        """Start before the first epoch."""
        self.cfg = cfg
        self.rows: list[Epoch] = []
        self.kept = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def row(self) -> Epoch:
        """The epoch whose weights are kept."""
        return self.rows[self.kept - 1]

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only."""
        return {"rows": [astuple(row) for row in self.rows], "kept": self.kept, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.rows = [Epoch(*row) for row in state["rows"]]
        self.kept, self.weights = state["kept"], state["weights"]

    def go_on(self, on_epoch: OnEpoch) -> None:
        """Report again what a killed training had reported, if there was one."""
        if self.rows:
            print(f"going on after epoch {len(self.rows)}", flush=True)
            on_epoch(self.rows, self.row)

    def judge(self, row: Epoch, network: nn.Module) -> None:
        """Keep the weights of an epoch that is better. Raises UserError where its loss is no number."""
        if not math.isfinite(row.train_loss):
            raise UserError(
                f"train.lr: with {self.cfg.lr:g} the loss was {row.train_loss} in epoch {row.epoch};"
                " lower it, or set train.clip_norm"
            )
        best = self._score(self.row) if self.kept else math.inf
        self.rows.append(row)
        if self._score(row) < best - self.cfg.min_delta:
            self.kept = len(self.rows)
            self.weights = {name: _copy(value) for name, value in network.state_dict().items()}

    def waited_enough(self) -> bool:
        """Whether `patience` epochs have not been better than the kept one."""
        return 0 < self.cfg.patience <= len(self.rows) - self.kept

    def _score(self, row: Epoch) -> float:
        """Return what is to be small."""
        return row.val_loss if self.cfg.monitor == "val_loss" else -row.val_accuracy


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
