"""Teach a network words, whoever says them: `python -m pretrain.fit` writes pretrain/work/fitted.pt.

`python -m pretrain.fit ENCODER` goes on from those of an encoder: its first epoch changes nothing in them.

Two tasks at once: which word it is, by the angle between a clip's embedding and each word's vector (the
normalised softmax of Wang et al., "NormFace", ACM MM 2017, arXiv:1704.06369), and what the teacher hears of
the same voice alone.
"""

import csv
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from kws.augment.splits import VAL
from kws.common.seeding import rng
from kws.models.encoder import Encoder
from kws.models.words import CHANNELS_IN_TIME, WIDTH, Words
from kws.params.whole import load_params
from kws.training.checkpoint import load_checkpoint
from kws.training.loop import arrange
from kws.training.regularise import mask
from pretrain.clips import CLIPS

FITTED = CLIPS.parent / "fitted.pt"
EPOCHS, BATCH, LR, WEIGHT_DECAY, WARMUP = 14, 128, 2e-3, 1e-2, 300
MORE_EPOCHS = 14
"""From an encoder on."""
SCALE, SMOOTHING = 20.0, 0.1
"""Of the cosines before the softmax, and of its targets."""
TIME_MASK, FREQ_MASK = 10, 8
"""Longest masks, in frames and bands."""
STRETCH, MOVE = (0.15, 0.06), (0.12, 0.06)
"""Most that a clip is stretched and moved along time and bands, as shares; half the clip is 1 to move by."""


@dataclass(frozen=True)
class Clips:
    """Features [n, frames, mels], word of each or -1, and what the teacher heard, [n, 288]."""

    features: NDArray[np.float16]
    words: NDArray[np.int64]
    taught: NDArray[np.float16]
    mean: Tensor
    """Of what the teacher heard, float32 [288]."""
    spread: Tensor
    """Its standard deviations, float32 [288]."""

    def standard(self, heard: Tensor) -> Tensor:
        """Return what is heard [batch, 288] in units of its spread."""
        return (heard - self.mean) / self.spread

    def batches(self, order: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield float32 [batch, 1, frames, mels], int64 [batch] and standardised float32 [batch, 288]."""
        for start in range(0, len(order), BATCH):
            rows = np.sort(order[start : start + BATCH])
            arrays = self.features[rows][:, None], self.words[rows], self.taught[rows]
            features, words, taught = map(torch.from_numpy, arrays)
            yield features.float(), words, self.standard(taught.float())


class Pupil(nn.Module):
    """The network with what only its training needs: a vector for each word, and a guess at the teacher."""

    def __init__(self, network: Words, n_frames: int, n_words: int, n_taught: int) -> None:
        """Take a network that steps by four frames."""
        super().__init__()
        self.network = network
        self.words = nn.Parameter(0.1 * torch.randn(n_words, WIDTH))
        self.guess = nn.Linear(CHANNELS_IN_TIME * -(-n_frames // 4), n_taught)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of the words and the guess at what the teacher hears."""
        steps = self.network.steps(features)
        embedding = self.network.pool(steps)
        return SCALE * F.linear(F.normalize(embedding), F.normalize(self.words)), self.guess(steps.flatten(1))


def load() -> tuple[Clips, NDArray[np.bool_]]:
    """Return all clips and which of them validate."""
    with (CLIPS / "clips.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = {word: i for i, word in enumerate(sorted({row["word"] for row in rows} - {""}))} | {"": -1}
    taught = np.load(CLIPS / "taught.npy", allow_pickle=False)
    spread, mean = torch.std_mean(torch.from_numpy(taught).float(), 0)
    words = np.array([numbers[row["word"]] for row in rows], np.int64)
    features = np.load(CLIPS / "features.npy", allow_pickle=False)
    val = np.array([row["split"] == VAL for row in rows])
    return Clips(features, words, taught, mean, spread + 1e-3), val


def warp(features: Tensor) -> Tensor:
    """Return clips [batch, 1, frames, mels] that are stretched and moved a little, each in its own way."""
    n = len(features)
    most = torch.tensor([STRETCH, MOVE]).flip(1)  # a grid has x, the bands, before y
    scale, offset = (most[:, None] * (2 * torch.rand(2, n, 2) - 1)).unbind()
    theta = torch.cat([torch.diag_embed(1 + scale), offset[..., None]], 2)
    grid = F.affine_grid(theta, list(features.shape), align_corners=False)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)


def loss_of(pupil: Pupil, features: Tensor, words: Tensor, taught: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, hits among the words, and the mean square error of the guess."""
    logits, guess = pupil(features)
    known = words >= 0
    error = F.mse_loss(guess, taught)
    loss = F.cross_entropy(logits[known], words[known], label_smoothing=SMOOTHING) + error
    return loss, (logits[known].argmax(1) == words[known]).float().mean(), error.detach()


def main(start: Path | None) -> None:
    """Train, the rate a cosine from LR to zero, and keep the weights."""
    params = load_params(Path("params.yaml"))
    front_end = params.features
    torch.manual_seed(1)
    clips, val = load()
    train, held_out = np.flatnonzero(~val), np.flatnonzero(val)
    network = Words(front_end.n_mels)
    if start:
        encoder = load_checkpoint(start).network()
        assert isinstance(encoder, Encoder)
        network.load_state_dict(encoder.words.state_dict())
    epochs = MORE_EPOCHS if start else EPOCHS
    pupil = Pupil(network, front_end.n_frames, int(clips.words.max()) + 1, clips.taught.shape[1])
    arrange(pupil, channels_last=True)
    optimiser = torch.optim.AdamW(pupil.parameters(), LR, weight_decay=WEIGHT_DECAY)
    schedule = cosine(optimiser, epochs * -(-len(train) // BATCH), WARMUP)
    for epoch in range(epochs):
        order = rng(1, "pretrain", epoch).permutation(train)
        pupil.train()
        settled = start is None or epoch > 0
        network.requires_grad_(settled).train(settled)
        seen = []
        for features, words, taught in clips.batches(order):
            heard = mask(warp(features), TIME_MASK, FREQ_MASK)
            loss, hits, error = loss_of(pupil, heard, words, taught)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            seen.append((loss.item(), hits.item(), error.item()))
        pupil.eval()
        with torch.inference_mode():
            checked = [[x.item() for x in loss_of(pupil, *batch)] for batch in clips.batches(held_out)]
        figures = (" ".join(f"{x:.3f}" for x in np.mean(rows, axis=0)) for rows in (seen, checked))
        print(f"epoch {epoch + 1:2} · loss, words, teacher: train {' · held out '.join(figures)}", flush=True)
        torch.save(small(network), FITTED)


def cosine(optimiser: torch.optim.Optimizer, steps: int, warmup: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a schedule that rises for `warmup` steps, and falls to zero along a cosine."""

    def rate(step: int) -> float:
        return min(1, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def small(network: nn.Module) -> dict[str, Tensor]:
    """Return weights in half precision, which costs less than their training noise; counters as they are."""
    return {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
