"""Fitting a network to the training split, keeping the weights that validate best."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from torch import nn

from kws.common.errors import UserError
from kws.params.sections import Machine, Train
from kws.training.best import Fit, OnEpoch
from kws.training.callbacks import Keeper, Progress
from kws.training.dataset import Dataset
from kws.training.module import Task
from kws.training.resume import readable


def fit(
    network: nn.Module,
    train: Dataset,
    val: Dataset,
    cfg: Train,
    machine: Machine,
    seed: int,
    background: int,
    on_epoch: OnEpoch = lambda *_: None,
    resume: Path | None = None,
) -> Fit | None:
    """Train `network` in place, from the file `resume` on where there is one, writing it every epoch.

    On a CPU the result is the same to the bit, resumed or not. With several processes each calls this, and
    only the one that is to write the outputs gets the result; `on_epoch` is called in that one alone.
    `background` is the label that `train.margin` leaves out.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    arrange(network, machine.channels_last)
    progress = Progress()
    keeper = Keeper(cfg, resume, progress, on_epoch)
    trainer = build_trainer(cfg, machine, [keeper, progress])
    task, ckpt = Task(network, train, val, cfg, seed, background), readable(resume) if resume else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")  # advice, and what it does with older APIs
        trainer.fit(task, ckpt_path=ckpt, weights_only=True)
    return Fit(keeper.best.weights, keeper.best.rows) if trainer.is_global_zero else None


def build_trainer(cfg: Train, machine: Machine, callbacks: list[Any]) -> Trainer:
    """Return Lightning's trainer without its loggers, bars, tables and advice."""
    try:
        trainer = Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            strategy=machine.strategy,
            precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
            max_epochs=cfg.epochs,
            gradient_clip_val=cfg.clip_norm or None,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except MisconfigurationException as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    torch.use_deterministic_algorithms(trainer.strategy.root_device.type == "cpu")
    # filling new memory costs a fifth of the time and changes nothing that is read
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return trainer


def arrange(network: nn.Module, channels_last: bool) -> None:
    """Lay a network out for speed; its weights keep their names, its outputs and gradients their values.

    ReLU and max-pooling commute to the bit, and ReLU has a quarter of the work to do after pooling.
    """
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for i in range(len(block) - 1):
                if isinstance(block[i], nn.ReLU) and isinstance(block[i + 1], nn.MaxPool2d):
                    block[i], block[i + 1] = block[i + 1], block[i]
    if channels_last:
        network.to(memory_format=torch.channels_last)
