"""Train the network: models/kws.pt and the curves reports/training.csv."""

import csv
from dataclasses import astuple, fields

import torch

from kws.checkpoint import Checkpoint, save_checkpoint
from kws.config import load_params
from kws.files import replacing
from kws.models import build_model
from kws.splits import TRAIN, VAL
from kws.train import Epoch, fit
from stages import paths, run
from stages.data import dataset


def main() -> None:
    """Fit the training split; the weights with the best validation loss are kept."""
    params = load_params(paths.PARAMS)
    torch.manual_seed(params.seed)
    front_end = params.features
    model = build_model(params.model, front_end.n_frames, front_end.n_mels, len(params.labels))
    train, val = dataset(params, TRAIN), dataset(params, VAL)
    best = fit(model, train, val, params.train, params.seed, _print)
    with replacing(paths.CHECKPOINT) as partial:
        save_checkpoint(Checkpoint(best.state, params.labels, params.model, front_end), partial)
    with replacing(paths.TRAINING) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Epoch))
        writer.writerows(astuple(row) for row in best.epochs)


def _print(row: Epoch) -> None:
    train, val = (
        f"{row.train_loss:.4f} {row.train_accuracy:.3f}",
        f"{row.val_loss:.4f} {row.val_accuracy:.3f}",
    )
    print(f"epoch {row.epoch:3} · train {train} · val {val}", flush=True)


if __name__ == "__main__":
    run(main)
