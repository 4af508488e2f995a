"""What happens around an epoch: keep the best weights, stop early, save to resume, say how far it is."""

import math
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor
from tqdm import tqdm

from kws.common.errors import UserError
from kws.common.files import replacing
from kws.params.sections import Train
from kws.training.module import Epoch, Task

OnEpoch = Callable[[list[Epoch], Epoch], None]
"""Called by one process after each epoch: all rows so far, and the one whose weights are kept."""


class Progress(Callback):
    """A bar with clips/s and the time left on a terminal; one line an epoch everywhere."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Open the bar; it covers all epochs."""
        assert isinstance(module, Task)
        self.clips = len(module.train_set)
        self.bar = tqdm(
            total=self.clips * (trainer.max_epochs or 0),
            initial=self.clips * trainer.current_epoch,
            unit=" clips",
            leave=False,
            mininterval=0.5,
            disable=not (trainer.is_global_zero and sys.stderr.isatty()),
        )

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the clock."""
        self.begin = self.end = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, _: LightningModule, __: Any, batch: Any, ___: int) -> None:
        """Count clips; the clock stops here, so validation is not part of clips/s."""
        self.end = time.perf_counter()
        self.bar.update(len(batch[1]) * trainer.world_size)

    def say(self, row: Epoch) -> None:
        """Print the line of an epoch that has just ended."""
        train, val = (
            f"{row.train_loss:.4f} {row.train_accuracy:.3f}",
            f"{row.val_loss:.4f} {row.val_accuracy:.3f}",
        )
        rate = self.clips / (self.end - self.begin)
        with tqdm.external_write_mode():
            print(f"epoch {row.epoch:3} · train {train} · val {val} · {rate:.0f} clips/s", flush=True)

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar, so that the error stands on a line of its own."""
        self.bar.close()


class Keeper(Checkpoint):
    """The curves and the best weights, and so when to stop; they are part of the file to resume from."""

    def __init__(self, cfg: Train, resume: Path | None, progress: Progress, on_epoch: OnEpoch) -> None:
        """Write `resume` after each epoch, or nothing where it is None."""
        self.cfg, self.resume, self.progress, self.on_epoch = cfg, resume, progress, on_epoch
        self.rows: list[Epoch] = []
        self.kept = 0
        self.weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only."""
        return {"rows": [astuple(row) for row in self.rows], "kept": self.kept, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.rows = [Epoch(*row) for row in state["rows"]]
        self.kept, self.weights = state["kept"], state["weights"]

    def on_fit_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Report again what a killed training had reported."""
        if self.rows and trainer.is_global_zero:
            print(f"going on after epoch {len(self.rows)}", flush=True)
            self.on_epoch(self.rows, self.rows[self.kept - 1])

    def on_train_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Stop where a killed training had stopped early."""
        trainer.should_stop = self.waited_enough()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Judge the epoch; all processes see the same numbers and come to the same decision."""
        assert isinstance(module, Task)
        row = module.end_epoch()
        if not math.isfinite(row.train_loss):
            raise UserError(
                f"train.lr: with {self.cfg.lr:g} the loss was {row.train_loss} in epoch {row.epoch};"
                " lower it, or set train.clip_norm"
            )
        best = self.score(self.rows[self.kept - 1]) if self.kept else math.inf
        self.rows.append(row)
        if self.score(row) < best - self.cfg.min_delta:
            self.kept = len(self.rows)
            self.weights = {name: _copy(value) for name, value in module.network.state_dict().items()}
        trainer.should_stop = self.waited_enough()
        if trainer.is_global_zero:
            self.progress.say(row)
            self.on_epoch(self.rows, self.rows[self.kept - 1])
        if self.resume:
            writes = replacing(self.resume) if trainer.is_global_zero else nullcontext(self.resume)
            with writes as partial:  # all processes take part, and one of them writes
                trainer.save_checkpoint(partial)

    def score(self, row: Epoch) -> float:
        """Return what is to be small."""
        return row.val_loss if self.cfg.monitor == "val_loss" else -row.val_accuracy

    def waited_enough(self) -> bool:
        """Whether `patience` epochs have not been better than the kept one."""
        return 0 < self.cfg.patience <= len(self.rows) - self.kept


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
