"""Training: clips per second, validation loss and memory. Reads the features that the pipeline has made.

The baseline is the original's loop written plainly: one .pt file a clip, DataLoader in this process, float32,
Adam. Both take the same steps: the same first weights, clips in the same order, the same learning rates. So
validation losses differ by rounding alone. Epochs alternate, and whatever else the machine does hits both.
Usage: `python -m benchmarks.train [DATA]`, where DATA is a `data` folder with clips/ and features/. Lines of
epochs go to stderr.
"""

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from kws.augment.splits import TRAIN, VAL
from kws.models import build_model
from kws.params.compose import compose
from kws.params.sections import Machine
from kws.params.whole import Params, load_params
from kws.training.batches import Batches
from kws.training.dataset import Dataset
from kws.training.loop import fit
from kws.training.objective import factor
from stages.data import dataset

ROOT = Path(__file__).parent.parent
TRAINED, VALIDATED, EPOCHS = 6000, 1000, 5
VARIANT_CLIPS, VARIANT_ROUNDS = 1280, 3
MANY, MANY_STEPS, MEGABYTES = 300_000, 100, 2000


def report(name: str, value: float, unit: str, baseline: float) -> None:
    """Print one JSON object, the only thing that goes to stdout."""
    row = {"name": name, "value": round(value, 4), "unit": unit, "baseline": round(baseline, 4)}
    print(json.dumps(row | {"ratio": round(value / baseline, 3)}), file=sys.__stdout__, flush=True)


def parameters() -> Params:
    """Return the parameters of the original network, with the mean over time."""
    with TemporaryDirectory() as folder:
        compose(ROOT / "conf", Path(folder) / "params.yaml", ["model=crnn_mean", "train=scratch"])
        return load_params(Path(folder) / "params.yaml")


def background(params: Params) -> int:
    """Return the number of the background label."""
    return params.labels.index(params.background)


def network(params: Params) -> nn.Module:
    """Return the same untrained network every time."""
    torch.manual_seed(params.seed)
    return build_model(params.model, params.features.n_frames, params.features.n_mels, len(params.labels))


def some(clips: Dataset, n: int) -> Dataset:
    """Return n clips, evenly over all of them."""
    chosen = np.linspace(0, len(clips) - 1, n).astype(np.int64)
    return replace(clips, where=clips.where[chosen], rows=clips.rows[chosen], labels=clips.labels[chosen])


class OneFileAClip(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Features read from .pt files when they are asked for."""

    def __init__(self, clips: Dataset, folder: Path) -> None:
        """Write the files."""
        folder.mkdir()
        features, labels = clips.take(np.arange(len(clips)))
        self.paths = [folder / f"{index:06d}.pt" for index in range(len(labels))]
        self.labels = labels.tolist()
        for path, clip in zip(self.paths, features, strict=True):
            torch.save(torch.from_numpy(clip[None].copy()), path)

    def __len__(self) -> int:
        """Clips."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return float32 [1, frames, n_mels] and a label."""
        return torch.load(self.paths[index])[0], self.labels[index]


class Plain:
    """The original's loop, an epoch at a time."""

    def __init__(self, params: Params, train: Dataset, val: Dataset, folder: Path) -> None:
        """Write the files and set up what is trained."""
        self.network, cfg = network(params), params.train
        self.optimiser = torch.optim.Adam(self.network.parameters(), cfg.lr)
        self.batches = Batches(train, cfg.batch_size, params.seed)
        steps = EPOCHS * len(self.batches)
        self.schedule = LambdaLR(self.optimiser, lambda step: factor(step, steps, cfg))
        self.order: list[int] = []
        self.train = DataLoader(OneFileAClip(train, folder / TRAIN), cfg.batch_size, sampler=self.order)
        self.val = DataLoader(OneFileAClip(val, folder / VAL), cfg.batch_size)

    def epoch(self) -> float:
        """Train on all clips once and return the validation loss."""
        torch.use_deterministic_algorithms(False)
        self.network.train()
        self.batches.epoch += 1
        self.order[:] = self.batches.order().tolist()
        loss_sum, hits = 0.0, 0
        for features, labels in self.train:
            logits = self.network(features)
            loss = cross_entropy(logits, labels)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            loss_sum += loss.item() * len(labels)
            hits += int((logits.argmax(1) == labels).sum())
        self.network.eval()
        with torch.no_grad():
            losses = [cross_entropy(self.network(x), y, reduction="sum").item() for x, y in self.val]
        torch.use_deterministic_algorithms(True)
        return sum(losses) / len(self.val.dataset)


def against_the_original(params: Params, train: Dataset, val: Dataset) -> None:
    """Report clips/s, validation included, of all epochs but the first; and the last validation losses."""
    with TemporaryDirectory() as folder:
        plain, seconds, losses = Plain(params, train, val, Path(folder)), [], []

        def between_epochs(rows: list, _: object) -> None:
            done = time.perf_counter()
            plain_loss = plain.epoch()
            seconds.append((done, time.perf_counter()))
            losses.append((rows[-1].val_loss, plain_loss))

        cfg = params.train.model_copy(update={"epochs": EPOCHS})
        resume = Path(folder) / "resume.ckpt"
        machine, seed = params.trainer, params.seed
        fit(network(params), train, val, cfg, machine, seed, background(params), between_epochs, resume)
    ours = sum(now[0] - last[1] for last, now in pairwise(seconds))
    baseline = sum(now[1] - now[0] for now in seconds[1:])
    n = len(train) * (EPOCHS - 1)
    report(f"train_{torch.get_num_threads()}_threads", n / ours, "clips/s", n / baseline)
    report("train_val_loss", losses[-1][0], "nats", losses[-1][1])


def seconds_of(params: Params, machine: Machine, train: Dataset) -> float:
    """Return how long an epoch takes that is not the first."""
    times: list[float] = []
    cfg = params.train.model_copy(update={"epochs": 2})

    def stop(*_: object) -> None:
        times.append(time.perf_counter())

    fit(network(params), train, some(train, 1), cfg, machine, 1, background(params), stop)
    return times[1] - times[0]


def variants(params: Params, train: Dataset) -> None:
    """Report what the layout in memory and bfloat16 are worth on this machine."""
    plain = params.trainer.model_copy(update={"channels_last": False, "precision": 32})
    changes = {
        "train_plain": {},
        "train_channels_last": {"channels_last": True},
        "train_bf16": {"precision": "bf16"},
    }
    changes["train_channels_last_bf16"] = {"channels_last": True, "precision": "bf16"}
    times = {name: [] for name in changes}
    for _ in range(VARIANT_ROUNDS):
        for name, change in changes.items():
            times[name].append(seconds_of(params, plain.model_copy(update=change), train))
    best = {name: len(train) / min(values) for name, values in times.items()}
    for name in list(changes)[1:]:
        report(name, best[name], "clips/s", best["train_plain"])


def memory(params: Params, train: Dataset, val: Dataset) -> None:
    """Report this process's peak, file pages included: all clips are read, some of them are trained on."""
    copies = -(-MANY // len(train))
    many = replace(
        train,
        shards=train.shards * copies,
        where=np.concatenate([train.where + copy * len(train.shards) for copy in range(copies)])[:MANY],
        rows=np.tile(train.rows, copies)[:MANY],
        labels=np.tile(train.labels, copies)[:MANY],
    )
    for _ in Batches(many, params.train.batch_size, params.seed):
        pass
    cfg = params.train.model_copy(update={"epochs": 1})
    steps, held_out = some(many, MANY_STEPS * params.train.batch_size), some(val, VALIDATED)
    fit(network(params), steps, held_out, cfg, params.trainer, params.seed, background(params))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    report(f"train_memory_{MANY}_clips", peak, "MB", MEGABYTES)


def main(data: Path, task: str = "all") -> None:
    """Print one JSON object a line."""
    params, here = parameters(), Path.cwd()
    os.chdir(data.parent)
    train, val = dataset(params, TRAIN), dataset(params, VAL)
    os.chdir(here)
    if task == "memory":
        memory(params, train, val)
        return
    against_the_original(params, some(train, TRAINED), some(val, VALIDATED))
    variants(params, some(train, VARIANT_CLIPS))
    subprocess.run([sys.executable, "-m", "benchmarks.train", str(data), "memory"], check=True)


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # what training says of each epoch
        main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "data").absolute(), *sys.argv[2:])
