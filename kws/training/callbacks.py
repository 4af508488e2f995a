"""What happens around an epoch: keep the best weights, stop early, save to resume, say how far it is."""

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from tqdm import tqdm

from kws.common.files import replacing
from kws.params.sections import Train
from kws.training.best import Best, OnEpoch
from kws.training.module import Task
from kws.training.objective import Epoch


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
        with tqdm.external_write_mode():
            print(row.told(self.clips / (self.end - self.begin)), flush=True)

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar, so that the error stands on a line of its own."""
        self.bar.close()


class Keeper(Checkpoint):
    """Keeps what is best, and so says when to stop; it is part of the file to resume from."""

    def __init__(self, cfg: Train, resume: Path | None, progress: Progress, on_epoch: OnEpoch) -> None:
        """Write `resume` after each epoch, or nothing where it is None."""
        self.cfg, self.resume, self.progress, self.on_epoch = cfg, resume, progress, on_epoch
        self.best = Best(cfg)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only."""
        return self.best.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.best.load_state_dict(state)

    def on_fit_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Report again what a killed training had reported."""
        if trainer.is_global_zero:
            self.best.go_on(self.on_epoch)

    def on_train_start(self, trainer: Trainer, _: LightningModule) -> None:
        """Stop where a killed training had stopped early."""
        trainer.should_stop = self.best.waited_enough()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Judge the epoch; all processes see the same numbers and come to the same decision."""
        assert isinstance(module, Task)
        row = module.end_epoch()
        self.best.judge(row, module.network)
        trainer.should_stop = self.best.waited_enough()
        if trainer.is_global_zero:
            self.progress.say(row)
            self.on_epoch(self.best.rows, self.best.row)
        if self.resume:
            writes = replacing(self.resume) if trainer.is_global_zero else nullcontext(self.resume)
            with writes as partial:  # all processes take part, and one of them writes
                trainer.save_checkpoint(partial)
