"""One step of training and of validation, as Lightning wants it."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MeanMetric

from kws.common.seeding import rng
from kws.params.sections import Train
from kws.training.batches import Batch, Batches
from kws.training.dataset import Dataset
from kws.training.objective import VALIDATED, Cost, Epoch, factor
from kws.training.regularise import mask, mixup


class Task(LightningModule):
    """A network from float32 [n, 1, frames, n_mels] to logits, its data, its loss and its optimiser."""

    def __init__(
        self,
        network: nn.Module,
        train: Dataset,
        val: Dataset,
        cfg: Train,
        seed: int,
        background: int,
    ) -> None:
        """Take a network that is ready to train; `train.margin` does not apply to the label `background`."""
        super().__init__()
        self.network, self.train_set, self.val_set, self.cfg, self.seed = network, train, val, cfg, seed
        self.cost = Cost(cfg, train.labels, background)
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        self.means = {name: MeanMetric(nan_strategy="disable") for name in names}
        self.metrics = nn.ModuleList(self.means.values())  # so that they move with the module

    def train_dataloader(self) -> Batches:
        """Return this process's share of the training clips."""
        world, rank = self.trainer.world_size, self.trainer.global_rank
        self.batches = Batches(self.train_set, self.cfg.batch_size, self.seed, rank, world)
        return self.batches

    def val_dataloader(self) -> Batches:
        """Return all validation clips: every process validates them all, so that all agree to the bit."""
        return Batches(self.val_set, VALIDATED)

    def on_train_epoch_start(self) -> None:
        """Derive all that is random in an epoch from its number: resuming then needs no random state."""
        epoch = self.current_epoch + 1
        self.batches.epoch = epoch
        torch.manual_seed(int(rng(self.seed, f"train {self.trainer.global_rank}", epoch).integers(2**63)))

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch."""
        features, labels = batch[0].float(), batch[1]
        if self.cfg.time_mask or self.cfg.freq_mask:
            features = mask(features, self.cfg.time_mask, self.cfg.freq_mask)
        loss: Tensor
        if self.cfg.mixup_alpha:
            features, other, share = mixup(features, self.cfg.mixup_alpha)
            logits = self.network(features)
            loss = share * self.cost(logits, labels) + (1 - share) * self.cost(logits, labels[other])
        else:
            logits = self.network(features)
            loss = self.cost(logits, labels)
        self._count("train", loss.detach(), logits, labels)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Count plain cross-entropy and accuracy, whatever training minimises."""
        logits = self.network(batch[0].float())
        self._count("val", cross_entropy(logits, batch[1]), logits, batch[1])

    def _count(self, split: str, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.means[f"{split}_loss"].update(loss, len(labels))
        self.means[f"{split}_accuracy"].update((logits.argmax(1) == labels).float())

    def end_epoch(self) -> Epoch:
        """Return the means over all processes since the last call."""
        values = {name: round(float(metric.compute()), 6) for name, metric in self.means.items()}
        for metric in self.means.values():
            metric.reset()
        return Epoch(self.current_epoch + 1, **values)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW, which is Adam where nothing decays, and a learning rate that changes every step."""
        optimiser = torch.optim.AdamW(
            self.network.parameters(), self.cfg.lr, weight_decay=self.cfg.weight_decay, fused=True
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: factor(step, steps, self.cfg))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
